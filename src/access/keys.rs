//! Keys: pairs of an id, which is sent, and a secret, which is not. Their form in `keys.toml`.

use crate::limits::KEYS_MAX;
use std::collections::HashMap;
use std::fmt::{self, Write};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Characters of an id at most, as the clients have it.
const ID_CHARS_MAX: usize = 128;
/// Characters of a secret, from and to: below, it could be guessed.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=256;
/// An id that is made begins so, and has as many characters as AWS's own.
const ID_START: &str = "RINGCHECK";
const ID_CHARS: usize = 20;
const ID_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const SECRET_CHARS_MADE: usize = 40;
const SECRET_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// What stands at the top of the file.
const HEADER: &str = "\
# Who may ask ringcheck over TCP. Whoever has a secret may ask and change everything.
# 'ringcheck keys' writes this file; a running daemon takes changes within a second.
";

/// A secret. It is not printed but by [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What is sent.
    pub id: String,
    /// What is not.
    pub secret: Secret,
}

/// What is wrong with keys: `what`, in which line of the file, and the cure. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {cure}")]
pub struct KeysError {
    /// What is wrong.
    pub what: String,
    /// The line of the file; 0 where it is none of a file.
    pub line: usize,
    /// What would be right.
    pub cure: &'static str,
}

impl Key {
    /// A key of these two.
    ///
    /// # Errors
    /// Where the id or the secret has other characters than it may have, or too many, or too few.
    pub fn new(id: &str, secret: &str) -> Result<Self, KeysError> {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || [b'_', b'-'].contains(&byte);
        if id.is_empty() || id.len() > ID_CHARS_MAX || !id.bytes().all(is_id) {
            return Err(KeysError {
                what: "this is no id of a key".to_owned(),
                line: 0,
                cure: "an id is 1 to 128 letters, digits, '_' and '-'",
            });
        }
        // Neither needs an escape in TOML.
        let is_secret = |byte: u8| byte.is_ascii_graphic() && ![b'"', b'\\'].contains(&byte);
        if !SECRET_CHARS.contains(&secret.len()) || !secret.bytes().all(is_secret) {
            return Err(KeysError {
                what: format!("the secret of {id} cannot be one"),
                line: 0,
                cure: "a secret is 16 to 256 printable ASCII characters, no blanks, quotes or \
                       backslashes; 'ringcheck keys add' makes one",
            });
        }
        Ok(Self { id: id.to_owned(), secret: Secret(secret.to_owned()) })
    }

    /// A new key with a random secret; the id is random too where none is given.
    ///
    /// # Errors
    /// Where the id cannot be one. `random` fills bytes with chance; its errors are passed on.
    pub fn random<E: From<KeysError>>(
        id: Option<&str>,
        random: impl Fn(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let made = match id {
            Some(id) => id.to_owned(),
            None => {
                let rest = text(ID_CHARS - ID_START.len(), ID_LETTERS, &random)?;
                format!("{ID_START}{rest}")
            }
        };
        let secret = text(SECRET_CHARS_MADE, SECRET_LETTERS, &random)?;
        Ok(Self::new(&made, &secret)?)
    }
}

/// `chars` letters, each as likely as any other.
fn text<E>(
    chars: usize,
    letters: &[u8],
    random: impl Fn(&mut [u8]) -> Result<(), E>,
) -> Result<String, E> {
    // Bytes from here on would make the first letters likelier.
    let end = 256 - 256 % letters.len();
    let mut text = String::with_capacity(chars);
    while text.len() < chars {
        let mut bytes = [0; 64];
        random(&mut bytes)?;
        let fair = bytes.iter().map(|&byte| usize::from(byte)).filter(|&byte| byte < end);
        let more = fair.map(|byte| char::from(letters[byte % letters.len()]));
        text.extend(more.take(chars - text.len()));
    }
    Ok(text)
}

/// All keys, in the order of the file, each id once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    all: Vec<Key>,
    places: HashMap<String, usize>,
}

impl Keys {
    /// The secret of a key, if there is such a key.
    #[must_use]
    pub fn secret(&self, id: &str) -> Option<&Secret> {
        self.places.get(id).map(|&place| &self.all[place].secret)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Key] {
        &self.all
    }

    /// Adds a key.
    ///
    /// # Errors
    /// Where its id is taken, or there are too many.
    pub fn add(&mut self, key: Key) -> Result<(), KeysError> {
        let line = 0;
        if self.all.len() >= KEYS_MAX {
            let what = format!("there are {KEYS_MAX} keys already");
            return Err(KeysError { what, line, cure: "remove one that nobody uses" });
        }
        if self.places.contains_key(&key.id) {
            let what = format!("the id {} is taken", key.id);
            return Err(KeysError { what, line, cure: "choose another one, or remove that key" });
        }
        self.places.insert(key.id.clone(), self.all.len());
        self.all.push(key);
        Ok(())
    }

    /// Removes a key; whether there was one.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(place) = self.places.remove(id) else { return false };
        self.all.remove(place);
        self.places.values_mut().filter(|other| **other > place).for_each(|other| *other -= 1);
        true
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first thing that is wrong, and its line.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let line_of =
            |offset: usize| 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
        let wrong = |what: &str, offset| KeysError {
            what: what.to_owned(),
            line: line_of(offset),
            cure: "each key is [[key]] with id = \"…\" and secret = \"…\"",
        };
        // What the parser says might repeat what stands in the line, which may be a secret.
        let root = DeTable::parse(text)
            .map_err(|error| wrong("this is not TOML", error.span().unwrap_or_default().start))?;
        let mut keys = Self::default();
        for (name, value) in root.get_ref() {
            let at = name.span().start;
            let DeValue::Array(tables) = value.get_ref() else {
                return Err(wrong("this is no [[key]]", at));
            };
            if name.get_ref() != "key" {
                return Err(wrong("this is no [[key]]", at));
            }
            for table in tables.iter() {
                let at = table.span().start;
                let place = |error| KeysError { line: line_of(at), ..error };
                let DeValue::Table(table) = table.get_ref() else {
                    return Err(wrong("this is no [[key]]", at));
                };
                let (id, secret) = pair(table).map_err(|what| wrong(what, at))?;
                let key = Key::new(id, secret).map_err(place)?;
                keys.add(key).map_err(place)?;
            }
        }
        Ok(keys)
    }

    /// The text of a file that [`Keys::parse`] reads.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = HEADER.to_owned();
        for key in &self.all {
            let (id, secret) = (&key.id, key.secret.expose());
            // Writing to a text does not fail.
            let _ = write!(text, "\n[[key]]\nid = \"{id}\"\nsecret = \"{secret}\"\n");
        }
        text
    }
}

fn pair<'t>(table: &'t DeTable<'_>) -> Result<(&'t str, &'t str), &'static str> {
    let text = |value: &'t Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Ok(text.as_ref()),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => Err("id and secret are texts in quotes"),
    };
    let (mut id, mut secret) = (None, None);
    for (name, value) in table {
        match name.get_ref().as_ref() {
            "id" => id = Some(text(value)?),
            "secret" => secret = Some(text(value)?),
            _ => return Err("a key has an id and a secret, and nothing else"),
        }
    }
    let id = id.ok_or("this key has no id")?;
    Ok((id, secret.ok_or("this key has no secret")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef/+";

    fn keys(ids: &[&str]) -> Keys {
        let mut keys = Keys::default();
        ids.iter().for_each(|id| keys.add(Key::new(id, SECRET).unwrap()).unwrap());
        keys
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let mut all = keys(&["a", "b", "c"]);
        assert_eq!(Keys::parse(&all.to_toml()), Ok(all.clone()));
        assert!(all.remove("b") && !all.remove("b"));
        assert_eq!(Keys::parse(&all.to_toml()), Ok(all.clone()));
        assert!(all.secret("c").is_some() && all.secret("b").is_none());
        assert_eq!(Keys::parse(""), Ok(Keys::default()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_without_a_secret() {
        let hidden = "TopSecretTopSecretTopSecret";
        let cases = [
            (format!("\n[[key]]\nid = \"a\"\nsecret = {hidden}\n"), "this is not TOML", 4),
            (format!("key = \"{hidden}\"\n"), "this is no [[key]]", 1),
            (format!("[[keys]]\nid = \"a\"\nsecret = \"{hidden}\"\n"), "this is no [[key]]", 1),
            (format!("key = [\"{hidden}\"]\n"), "this is no [[key]]", 1),
            (format!("[[key]]\nsecret = \"{hidden}\"\n"), "this key has no id", 1),
            ("[[key]]\nid = \"a\"\n".to_owned(), "this key has no secret", 1),
            (format!("[[key]]\nid = 7\nsecret = \"{hidden}\"\n"), "id and secret are texts", 1),
            (
                format!("[[key]]\nid = \"a\"\nsecret = \"{hidden}\"\nnote = \"x\"\n"),
                "a key has an id and a secret, and nothing else",
                1,
            ),
            (format!("[[key]]\nid = \"\"\nsecret = \"{hidden}\"\n"), "this is no id of a key", 1),
            (format!("[[key]]\nid = \"a/b\"\nsecret = \"{hidden}\"\n"), "this is no id", 1),
            (
                "[[key]]\nid = \"a\"\nsecret = \"TopSecret\"\n".to_owned(),
                "the secret of a cannot be one",
                1,
            ),
            (
                format!("{0}\n\n{0}", format!("[[key]]\nid = \"a\"\nsecret = \"{hidden}\"")),
                "the id a is taken",
                5,
            ),
        ];
        for (text, what, line) in cases {
            let error = Keys::parse(&text).unwrap_err();
            assert!(error.what.starts_with(what), "{text}: {error}");
            assert_eq!(error.line, line, "{text}");
            assert!(!error.to_string().contains("TopSecret"), "{error}");
        }
        assert!(!format!("{:?}", keys(&["a"])).contains(SECRET));
    }

    #[test]
    fn keys_that_are_made_have_fair_letters_and_the_right_length() {
        let random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| unreachable!());
        let key = Key::random::<KeysError>(None, random).unwrap();
        assert_eq!((key.id.len(), key.secret.expose().len()), (20, 40));
        assert!(key.id.starts_with("RINGCHECK"));
        assert!(key.id.bytes().all(|byte| ID_LETTERS.contains(&byte)));
        assert_ne!(Key::random::<KeysError>(None, random).unwrap(), key);
        assert_eq!(Key::random::<KeysError>(Some("mine"), random).unwrap().id, "mine");
        assert!(Key::random::<KeysError>(Some("not mine"), random).is_err());
        // Bytes that would not be fair are left out.
        let every = std::cell::Cell::new(0_u8);
        let counting = |bytes: &mut [u8]| {
            for byte in bytes {
                *byte = every.replace(every.get().wrapping_add(1));
            }
            Ok::<_, KeysError>(())
        };
        let long = text(252, ID_LETTERS, counting).unwrap();
        for letter in ID_LETTERS {
            assert_eq!(long.bytes().filter(|byte| byte == letter).count(), 7);
        }
    }

    #[test]
    fn there_are_so_many_keys_and_no_more() {
        let mut all = Keys::default();
        for number in 0..KEYS_MAX {
            all.add(Key::new(&number.to_string(), SECRET).unwrap()).unwrap();
        }
        assert!(all.add(Key::new("more", SECRET).unwrap()).is_err());
    }
}
