//! Form parameters, as both vendor dialects send them: `Targets.member.1.Id=10.0.0.1` (AWS),
//! `Servers.1.Port=80` (Alibaba), `Matcher.HttpCode=200-399`, from query and body together.
//!
//! Read strictly: what is not well encoded, or is given twice with two values, is an error that
//! names the key. What nobody takes is left over, and the dialects ignore it as the vendors do.
//! Names and values lie decoded in one text that a form and the elements of its lists share; pairs
//! are sorted by name, so everything below a name lies together. Bounds: `limits::FORM_*`; time
//! n log n in the parameters, and no recursion however deep a name is.

use super::percent::{Plus, decode_to};
use super::query::crop;
use crate::limits::{
    API_BODY_BYTES_MAX, FORM_DEPTH_MAX, FORM_INDEX_MAX, FORM_KEY_BYTES_MAX, FORM_PARAMETERS_MAX,
};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Why bytes are no form. One line; what was sent is repeated shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// More bytes than a body may have.
    #[error("the parameters have {0} bytes, allowed are {API_BODY_BYTES_MAX}; send fewer at once")]
    TooLong(usize),
    /// More parameters than a form may have.
    #[error("there are more than {FORM_PARAMETERS_MAX} parameters; send fewer at once")]
    TooMany,
    /// This is not percent-encoded UTF-8.
    #[error("parameter '{0}' is not percent-encoded UTF-8")]
    Encoding(String),
    /// This name is empty in a part, too long, or has too many parts.
    #[error(
        "parameter '{0}' is no name of at most {FORM_DEPTH_MAX} parts and {FORM_KEY_BYTES_MAX} bytes"
    )]
    Name(String),
    /// This is given twice, with two values.
    #[error("parameter '{0}' is given twice; give it once")]
    Twice(String),
    /// An element of a list without a number that can be.
    #[error("parameter '{0}' has no number from 1 to {FORM_INDEX_MAX} in its list")]
    Index(String),
    /// An element of a list of texts that is none.
    #[error("parameter '{0}' is no list of texts")]
    NotText(String),
}

/// The parameters of a request, or those of one element of a list.
#[derive(Clone, Default)]
pub struct Params {
    text: Arc<str>,
    /// Sorted by name, names unique.
    pairs: Vec<Pair>,
}

/// Where a name and its value lie in the text.
#[derive(Clone, Copy, Debug)]
struct Pair {
    name: (u32, u32),
    value: (u32, u32),
    taken: bool,
}

impl Params {
    /// The parameters of `query` and `body` together.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn parse(query: &str, body: &[u8]) -> Result<Self, FormError> {
        let bytes = query.len().saturating_add(body.len());
        if bytes > API_BODY_BYTES_MAX {
            return Err(FormError::TooLong(bytes));
        }
        let mut reader = Reader { text: Vec::with_capacity(bytes), pairs: Vec::new() };
        for source in [query.as_bytes(), body] {
            for part in source.split(|&byte| byte == b'&').filter(|part| !part.is_empty()) {
                reader.pair(part)?;
            }
        }
        reader.finish()
    }

    /// The value of `name`, given in full as `Matcher.HttpCode`; none where it is not given or was
    /// taken already. The value of an element that is no structure has the empty name.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let index = self.pairs.binary_search_by(|pair| self.at(pair.name).cmp(name)).ok()?;
        let pair = &mut self.pairs[index];
        if std::mem::replace(&mut pair.taken, true) {
            return None;
        }
        let value = pair.value;
        Some(self.at(value).to_owned())
    }

    /// Whether `name` is given, or something below it: `Targets=` gives a list without elements.
    #[must_use]
    pub fn given(&self, name: &str) -> bool {
        self.pairs.binary_search_by(|pair| self.at(pair.name).cmp(name)).is_ok()
            || !self.below(name).is_empty()
    }

    /// The elements of the list `name` (AWS: `Targets.member`, Alibaba: `Servers`) in the order of
    /// their numbers, which may have gaps. The names in an element are those behind its number.
    ///
    /// # Errors
    /// [`FormError::Index`] for an element without a number.
    pub fn list(&mut self, name: &str) -> Result<Vec<Self>, FormError> {
        let range = self.below(name);
        let mut numbered = Vec::with_capacity(range.len());
        for index in range {
            let pair = self.pairs[index];
            let (start, end) = pair.name;
            let behind = &self.at(pair.name)[name.len() + 1..];
            let number = behind.split('.').next().unwrap_or_default();
            let Some(parsed) = index_of(number) else {
                return Err(FormError::Index(crop(self.at(pair.name))));
            };
            // Behind the number comes a dot, or nothing.
            let skip = offset(name.len() + 1 + number.len() + 1);
            self.pairs[index].taken = true;
            let name = ((start + skip).min(end), end);
            numbered.push((parsed, Pair { name, ..pair }));
        }
        // Stable: within an element the names stay sorted.
        numbered.sort_by_key(|&(number, _)| number);
        let elements = numbered.chunk_by(|a, b| a.0 == b.0).map(|element| Self {
            text: Arc::clone(&self.text),
            pairs: element.iter().map(|&(_, pair)| pair).collect(),
        });
        Ok(elements.collect())
    }

    /// The elements of the list `name`, each of which is a text: `ServerIds.1=i-1`.
    ///
    /// # Errors
    /// As for [`Params::list`], and where an element is a structure.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, FormError> {
        let elements = self.list(name)?.into_iter();
        let text =
            |mut element: Self| element.take("").ok_or_else(|| FormError::NotText(crop(name)));
        elements.map(text).collect()
    }

    /// All names with their values, taken or not, sorted by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|pair| (self.at(pair.name), self.at(pair.value)))
    }

    /// Names that nobody took.
    pub fn rest(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(|pair| !pair.taken).map(|pair| self.at(pair.name))
    }

    /// The pairs whose names begin with `name` and a dot.
    fn below(&self, name: &str) -> Range<usize> {
        let behind = |pair: &Pair| self.at(pair.name).strip_prefix(name);
        // Names that begin with `name` lie together, among them those that go on with what sorts
        // before a dot, with a dot, and behind it.
        let before = |pair: &Pair| match behind(pair) {
            Some(rest) => rest < ".",
            None => self.at(pair.name) < name,
        };
        let until = |pair: &Pair| match behind(pair) {
            Some(rest) => rest < "/",
            None => self.at(pair.name) < name,
        };
        self.pairs.partition_point(before)..self.pairs.partition_point(until)
    }

    fn at(&self, (start, end): (u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.pairs()).finish()
    }
}

/// A form on its way.
struct Reader {
    /// Names and values, each of them UTF-8.
    text: Vec<u8>,
    pairs: Vec<Pair>,
}

impl Reader {
    fn pair(&mut self, part: &[u8]) -> Result<(), FormError> {
        if self.pairs.len() == FORM_PARAMETERS_MAX {
            return Err(FormError::TooMany);
        }
        let equals = part.iter().position(|&byte| byte == b'=');
        let (name, value) = match equals {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (part, &part[part.len()..]),
        };
        let wrong = || FormError::Encoding(crop(&String::from_utf8_lossy(name)));
        let name = self.decoded(name).ok_or_else(wrong)?;
        let value = self.decoded(value).ok_or_else(wrong)?;
        let parts = &self.text[name.0 as usize..name.1 as usize];
        let is_name = parts.len() <= FORM_KEY_BYTES_MAX
            && parts.split(|&byte| byte == b'.').all(|part| !part.is_empty())
            && parts.iter().filter(|&&byte| byte == b'.').count() < FORM_DEPTH_MAX;
        if !is_name {
            return Err(FormError::Name(crop(&String::from_utf8_lossy(parts))));
        }
        self.pairs.push(Pair { name, value, taken: false });
        Ok(())
    }

    /// Appends `bytes` decoded, and says where they lie; none where they are no UTF-8.
    fn decoded(&mut self, bytes: &[u8]) -> Option<(u32, u32)> {
        let start = self.text.len();
        decode_to(&mut self.text, bytes, Plus::Blank)?;
        std::str::from_utf8(&self.text[start..]).ok()?;
        Some((offset(start), offset(self.text.len())))
    }

    /// Sorts the pairs, and drops those that say the same again.
    fn finish(self) -> Result<Params, FormError> {
        let Self { text, mut pairs } = self;
        // Pieces of UTF-8 one after another are UTF-8.
        let text: Arc<str> = String::from_utf8(text).unwrap_or_default().into();
        let at = |(start, end): (u32, u32)| &text[start as usize..end as usize];
        pairs.sort_unstable_by(|a, b| at(a.name).cmp(at(b.name)));
        let twice = |pair: &[Pair]| at(pair[0].name) == at(pair[1].name);
        let differ = |pair: &[Pair]| at(pair[0].value) != at(pair[1].value);
        if let Some(pair) = pairs.windows(2).find(|pair| twice(pair) && differ(pair)) {
            return Err(FormError::Twice(crop(at(pair[0].name))));
        }
        pairs.dedup_by(|a, b| at(a.name) == at(b.name));
        Ok(Params { text, pairs })
    }
}

/// The number of an element: decimal, without sign and leading zero.
fn index_of(text: &str) -> Option<u32> {
    let is_number = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().ok()).flatten();
    number.filter(|number| (1..=FORM_INDEX_MAX).contains(number))
}

/// A place in a text, which is at most as long as a body and a head.
fn offset(place: usize) -> u32 {
    u32::try_from(place).expect("API_BODY_BYTES_MAX is below 2^32")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn form(text: &str) -> Params {
        Params::parse("", text.as_bytes()).unwrap()
    }

    fn refused(text: &str) -> FormError {
        Params::parse("", text.as_bytes()).unwrap_err()
    }

    #[test]
    fn query_and_body_are_one_form_and_each_value_is_taken_once() {
        let body = b"Matcher.HttpCode=200-399&Name=a+b%2Bc%C3%A4&Empty=&&Bare";
        let mut form = Params::parse("Action=X&Port=80", body).unwrap();
        assert_eq!(form.take("Action").as_deref(), Some("X"));
        assert_eq!(form.take("Action"), None);
        assert_eq!(form.take("Matcher.HttpCode").as_deref(), Some("200-399"));
        assert_eq!(form.take("Name").as_deref(), Some("a b+cä"));
        assert_eq!(form.take("Empty").as_deref(), Some(""));
        assert_eq!(form.take("action"), None);
        assert!(form.given("Matcher") && form.given("Action") && form.given("Bare"));
        assert!(!form.given("Match") && !form.given("HttpCode"));
        assert_eq!(form.rest().collect::<Vec<_>>(), ["Bare", "Port"]);
    }

    #[test]
    fn the_same_twice_is_once_and_another_value_is_an_error() {
        let mut form = Params::parse("RegionId=r", b"RegionId=r&A=1&A=1").unwrap();
        assert_eq!(form.take("RegionId").as_deref(), Some("r"));
        assert_eq!(refused("A=1&B=2&%41=2"), FormError::Twice("A".to_owned()));
    }

    #[test]
    fn lists_are_ordered_by_number_whatever_the_order_and_the_gaps() {
        let mut form = form(
            "Targets.member.10.Id=j&Targets.member.2.Port=80&Targets.member.2.Id=b&\
             Targets.memberless=1&Targets.member.1.Id=a&Targets.member-x=2&Targets=",
        );
        assert!(form.given("Targets") && form.given("Targets.member"));
        let mut list = form.list("Targets.member").unwrap();
        let mut of = |name: &str| -> Vec<Option<String>> {
            list.iter_mut().map(|element| element.take(name)).collect()
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of("Id"), [text("a"), text("b"), text("j")]);
        assert_eq!(of("Port"), [None, text("80"), None]);
        let rest = ["Targets", "Targets.member-x", "Targets.memberless"];
        assert_eq!(form.rest().collect::<Vec<_>>(), rest);
        assert!(form.list("Nothing").unwrap().is_empty());
    }

    #[test]
    fn elements_are_texts_structures_or_lists_again() {
        let mut form = form(
            "ServerIds.2=b&ServerIds.1=a&ServerIds.11=k&Groups.1.Codes.2=y&Groups.1.Codes.1=x",
        );
        assert_eq!(form.texts("ServerIds").unwrap(), ["a", "b", "k"]);
        let mut groups = form.list("Groups").unwrap();
        assert_eq!(groups[0].texts("Codes").unwrap(), ["x", "y"]);
        assert_eq!(form.rest().count(), 0);
        let not_text = FormError::NotText("Names".to_owned());
        assert_eq!(self::form("Names.1.Id=a").texts("Names").unwrap_err(), not_text);
    }

    #[test]
    fn an_element_needs_a_number_that_can_be() {
        for number in ["0", "01", "x", "-1", "+1", "1000001", "4294967297", "1x", "\u{661}"] {
            let name = format!("S.{number}.Id");
            let mut form = form(&format!("{}=a", name.replace('+', "%2B")));
            assert_eq!(form.list("S").unwrap_err(), FormError::Index(name));
        }
        assert_eq!(form("S.1000000.Id=a").list("S").unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_form_is_one_line_that_names_the_key() {
        for broken in ["A=%", "A=%4", "A=%zz", "A=%FF", "A=\u{7f}%C3"] {
            assert_eq!(refused(broken), FormError::Encoding("A".to_owned()), "{broken}");
        }
        let raw = Params::parse("", b"A\xFF=1").unwrap_err();
        assert_eq!(raw, FormError::Encoding("A\u{FFFD}".to_owned()));
        for name in ["", ".", "a.", ".a", "a..b", "1.2.3.4.5.6.7.8.9"] {
            assert_eq!(refused(&format!("{name}=1")), FormError::Name(name.to_owned()));
        }
        assert!(Params::parse("1.2.3.4.5.6.7.8", b"").is_ok());
        let long = "x".repeat(FORM_KEY_BYTES_MAX + 1);
        assert!(refused(&long).to_string().len() < 200);
        assert!(Params::parse(&long[1..], b"").is_ok());
        assert!(!refused("A\r\nB=%").to_string().contains(['\r', '\n']));
        let dots = ".".repeat(1_000_000);
        assert!(matches!(refused(&dots), FormError::Name(_)));
    }

    #[test]
    fn forms_are_bounded() {
        let most: String = (0..FORM_PARAMETERS_MAX).map(|n| format!("{n:x}&")).collect();
        let last = most[..most.len() - 1].rsplit('&').next().unwrap();
        assert_eq!(form(&most).take(last).as_deref(), Some(""));
        assert_eq!(refused(&format!("{most}y=2")), FormError::TooMany);
        let body = vec![b'a'; API_BODY_BYTES_MAX];
        assert_eq!(Params::parse("b", &body), Err(FormError::TooLong(body.len() + 1)));
        assert!(matches!(Params::parse("", &body), Err(FormError::Name(_))));
    }

    impl PartialEq for Params {
        fn eq(&self, other: &Self) -> bool {
            format!("{self:?}") == format!("{other:?}")
        }
    }

    /// One element of a list, or a parameter beside it.
    type Given = (u32, Option<&'static str>);

    proptest! {
        #[test]
        fn a_list_equals_a_map(
            given in prop::collection::vec(
                (1..120_u32, prop::sample::select(vec![None, Some("Id"), Some("Port"), Some("A.1")])),
                0..200,
            ),
        ) {
            let given: Vec<Given> = given;
            let name = |(number, field): &Given| match field {
                Some(field) => format!("L.m.{number}.{field}"),
                None => format!("L.m.{number}"),
            };
            let text: Vec<String> =
                given.iter().map(|one| format!("{}=v-{}", name(one), name(one))).collect();
            let mut model: BTreeMap<u32, BTreeMap<&str, String>> = BTreeMap::new();
            for one in &given {
                let value = format!("v-{}", name(one));
                model.entry(one.0).or_default().insert(one.1.unwrap_or(""), value);
            }
            let mut form = form(&text.join("&"));
            let list: Vec<BTreeMap<&str, String>> = form
                .list("L.m")
                .unwrap()
                .into_iter()
                .map(|mut element| {
                    let fields = ["", "Id", "Port", "A.1"].into_iter();
                    fields.filter_map(|field| Some((field, element.take(field)?))).collect()
                })
                .collect();
            prop_assert_eq!(list, model.into_values().collect::<Vec<_>>());
            prop_assert_eq!(form.rest().count(), 0);
        }
    }
}
