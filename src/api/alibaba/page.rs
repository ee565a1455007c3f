//! `MaxResults` and `NextToken`: where the next page of a listing begins.
//!
//! A token names what was shown last, never a place that moves: an object by when it was made and
//! by its id, which is the order of such listings; a target by its group and its number in the
//! order of registration. So it stays valid while objects come and go, be it the one that it names:
//! whoever stays is neither missed nor shown twice. Tokens are bound to the listing that gave them.

use super::error::AlibabaError;
use super::request::Request;
use crate::rng::mix;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Entries of a page unless asked otherwise, and at most.
const MAX_RESULTS_DEFAULT: u32 = 20;
const MAX_RESULTS: u32 = 100;
/// Bytes of a token at most: a request's head has 16 KiB.
const TOKEN_BYTES_MAX: usize = 12 * 1_024;
/// Groups that a token can name as shown; of more it keeps how many there were.
const SHOWN_NAMED_MAX: usize = 256;

/// What a page is asked for with.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) max_results: usize,
    /// None: the first page.
    pub(super) token: Option<String>,
}

impl Asked {
    /// Takes `MaxResults` and `NextToken`.
    pub(super) fn of(request: &mut Request) -> Result<Self, AlibabaError> {
        let max = request.integer("MaxResults", 1..=MAX_RESULTS)?.unwrap_or(MAX_RESULTS_DEFAULT);
        // At most 100.
        Ok(Self { max_results: max as usize, token: request.text("NextToken") })
    }
}

/// The error for a token that no page of this listing ended with.
fn illegal() -> AlibabaError {
    AlibabaError::illegal("NextToken", "no page of this listing ended with it; begin without one")
}

/// Where an object stands in its listing: when it was made, and its id.
pub(super) type Place<'a> = (u64, &'a str);

/// The page of `objects` that `asked` describes, and the token of the next one, empty at the end.
/// `listing` is what it is called in tokens.
pub(super) fn objects<'a, T>(
    mut objects: Vec<(Place<'a>, T)>,
    asked: &Asked,
    listing: &str,
) -> Result<(Vec<T>, String), AlibabaError> {
    objects.sort_by_key(|(place, _)| *place);
    let from = match &asked.token {
        None => 0,
        Some(token) => {
            let (made, id) = object_place(token, listing).ok_or_else(illegal)?;
            objects.partition_point(|(place, _)| *place <= (made, &id))
        }
    };
    let more = objects.len() > from + asked.max_results;
    let next = match objects.get(from + asked.max_results - 1) {
        Some(((made, id), _)) if more => encode(&format!("{listing}\n{made}\n{id}")),
        Some(_) | None => String::new(),
    };
    let page = objects.into_iter().skip(from).take(asked.max_results);
    Ok((page.map(|(_, object)| object).collect(), next))
}

fn object_place(token: &str, listing: &str) -> Option<(u64, String)> {
    let text = decode(token)?;
    let rest = text.strip_prefix(listing)?.strip_prefix('\n')?;
    let (made, id) = rest.split_once('\n')?;
    Some((made.parse().ok()?, id.to_owned()))
}

/// How far a listing of targets of several groups, one group after another, has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The group of the last target shown, and that target's number; none: nothing was shown.
    last: Option<(u64, u64)>,
    shown: Shown,
}

/// Groups all of whose targets were shown.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    /// These, sorted.
    Named(Vec<u64>),
    /// The first ones of the list, because they are too many to be named.
    First(usize),
}

impl Default for Shown {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// A group that is still to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// Its place in the list of groups.
    pub(super) index: usize,
    /// Its targets with this number and lower ones were shown.
    pub(super) behind: Option<u64>,
}

impl Progress {
    /// The progress that `token` tells, of the listing called `listing`.
    pub(super) fn parse(token: &str, listing: &str) -> Result<Self, AlibabaError> {
        Self::parsed(token, listing).ok_or_else(illegal)
    }

    fn parsed(token: &str, listing: &str) -> Option<Self> {
        let text = decode(token)?;
        let mut parts = text.split(' ');
        if hex(parts.next()?)? != hash(listing) {
            return None;
        }
        let last = Some((hex(parts.next()?)?, hex(parts.next()?)?));
        let shown = match parts.next()? {
            "named" => {
                let mut named: Vec<u64> = parts.map(hex).collect::<Option<_>>()?;
                named.sort_unstable();
                Shown::Named(named)
            }
            "first" => {
                let count = usize::try_from(hex(parts.next()?)?).ok()?;
                parts.next().is_none().then_some(Shown::First(count))?
            }
            _ => return None,
        };
        Some(Self { last, shown })
    }

    /// What is left of `groups` (their ids), in the order to go on in: first the group that the
    /// page before ended in, so that its progress is not lost to one that came in before it.
    pub(super) fn left<'a>(&self, groups: impl Iterator<Item = &'a str>) -> Vec<Left> {
        let mut left = Vec::new();
        for (index, id) in groups.enumerate() {
            let group = hash(id);
            match (self.last, &self.shown) {
                (Some((last, number)), _) if last == group => {
                    left.insert(0, Left { index, behind: Some(number) });
                }
                (_, Shown::Named(named)) if named.binary_search(&group).is_ok() => {}
                (_, Shown::First(count)) if index < *count => {}
                (_, Shown::Named(_) | Shown::First(_)) => left.push(Left { index, behind: None }),
            }
        }
        left
    }

    /// Whether nothing was shown before.
    pub(super) const fn is_start(&self) -> bool {
        self.last.is_none()
    }

    /// The token of the page that ended with target number `number` of the group `last`, which is
    /// number `index` of the list, after it had come to the end of the groups `ended`.
    pub(super) fn token<'a>(
        &self,
        listing: &str,
        ended: impl Iterator<Item = &'a str>,
        (index, last, number): (usize, &str, u64),
    ) -> String {
        let shown = match &self.shown {
            Shown::First(count) => Shown::First(index.max(*count)),
            Shown::Named(named) => {
                let mut named: Vec<u64> = named.iter().copied().chain(ended.map(hash)).collect();
                named.sort_unstable();
                named.dedup();
                let fits = named.len() <= SHOWN_NAMED_MAX;
                if fits { Shown::Named(named) } else { Shown::First(index) }
            }
        };
        let mut parts = vec![hash(listing), hash(last), number];
        let word = match shown {
            Shown::Named(named) => {
                parts.extend(named);
                "named"
            }
            Shown::First(count) => {
                parts.push(count as u64);
                "first"
            }
        };
        let mut parts: Vec<String> = parts.into_iter().map(|part| format!("{part:x}")).collect();
        parts.insert(3, word.to_owned());
        encode(&parts.join(" "))
    }
}

fn hex(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// What stands for an id or a listing in a token.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| mix(hash ^ u64::from(byte)))
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn decode(token: &str) -> Option<String> {
    let short = (token.len() <= TOKEN_BYTES_MAX).then_some(token)?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(short).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(max_results: usize, token: &str) -> Asked {
        Asked { max_results, token: Some(token.to_owned()).filter(|token| !token.is_empty()) }
    }

    #[test]
    fn pages_of_objects_miss_and_repeat_nobody_whatever_comes_and_goes() {
        let all = |gone: &[u64]| -> Vec<(Place<'static>, u64)> {
            let made = (0..50).filter(|made| !gone.contains(made));
            made.map(|made| ((made / 3, ["a", "b", "c"][(made % 3) as usize]), made)).collect()
        };
        let (first, token) = objects(all(&[]), &asked(20, ""), "L").unwrap();
        assert_eq!(first, (0..20).collect::<Vec<_>>());
        let (second, token) = objects(all(&[3, 19, 20]), &asked(20, &token), "L").unwrap();
        assert_eq!(second, (21..41).collect::<Vec<_>>());
        let (third, token) = objects(all(&[40]), &asked(9, &token), "L").unwrap();
        assert_eq!((third, token), ((41..50).collect::<Vec<_>>(), String::new()));
    }

    #[test]
    fn a_token_is_good_for_its_own_listing_only() {
        let progress = Progress::default();
        let token = progress.token("lsn-1", ["sgp-1"].into_iter(), (1, "sgp-2", 7));
        assert!(Progress::parse(&token, "lsn-1").is_ok());
        let rubbish = [
            String::new(),
            "x".to_owned(),
            token[1..].to_owned(),
            encode("1 2 3"),
            encode(&format!("{:x} 1 2 other", hash("lsn-1"))),
            encode(&format!("{:x} 1 +2 named", hash("lsn-1"))),
            encode(&format!("{:x} 1 2 first", hash("lsn-1"))),
            "A".repeat(TOKEN_BYTES_MAX + 1),
        ];
        for token in rubbish {
            let error = Progress::parse(&token, "lsn-1").unwrap_err();
            assert_eq!(error.code, "IllegalParam", "{token}");
            assert!(error.message.starts_with("The param of NextToken is illegal"));
        }
        assert!(Progress::parse(&token, "lsn-2").is_err());
        let (_, token) = objects(vec![((1, "a"), ()), ((2, "b"), ())], &asked(1, ""), "L").unwrap();
        assert!(objects(vec![((1, "a"), ())], &asked(1, &token), "M").is_err());
        assert!(objects(vec![((1, "a"), ())], &asked(1, "x"), "L").is_err());
    }

    #[test]
    fn groups_that_come_go_or_change_places_move_no_progress() {
        let start = Progress::default();
        let fresh = |index| Left { index, behind: None };
        assert_eq!(start.left(["a", "b"].into_iter()), [fresh(0), fresh(1)]);
        let token = start.token("l", ["a"].into_iter(), (1, "b", 5));
        let progress = Progress::parse(&token, "l").unwrap();
        let left = |ids: &[&'static str]| progress.left(ids.iter().copied());
        let on = |index| Left { index, behind: Some(5) };
        assert_eq!(left(&["a", "b", "c"]), [on(1), fresh(2)]);
        assert_eq!(left(&["b", "c"]), [on(0), fresh(1)]);
        assert_eq!(left(&["c", "a", "new", "b"]), [on(3), fresh(0), fresh(2)]);
        assert_eq!(left(&["a", "c"]), [fresh(1)]);
    }

    #[test]
    fn of_many_groups_a_token_keeps_the_count() {
        let ids: Vec<String> = (0..SHOWN_NAMED_MAX + 10).map(|n| format!("sgp-{n}")).collect();
        let groups = || ids.iter().map(String::as_str);
        let last = (SHOWN_NAMED_MAX + 2, &*ids[SHOWN_NAMED_MAX + 2], 3);
        let token = Progress::default().token("l", groups().take(SHOWN_NAMED_MAX + 2), last);
        let left = Progress::parse(&token, "l").unwrap().left(groups());
        assert_eq!(left[0], Left { index: SHOWN_NAMED_MAX + 2, behind: Some(3) });
        assert_eq!(left.len(), 8);
        let most = Progress::default().token("l", groups().take(SHOWN_NAMED_MAX), last);
        assert!(most.len() < TOKEN_BYTES_MAX / 2, "{}", most.len());
    }
}
