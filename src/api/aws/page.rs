//! Pages of a listing: `PageSize` and `Marker` in, `NextMarker` out.
//!
//! Objects are listed by name, and a marker holds the name of the last one shown. So the next page
//! begins behind it whatever came and went in the meantime, be it that object itself; who stays is
//! neither missed nor shown twice. A page costs a look at every object and the sorting of its own.

use super::error::AwsError;
use super::request::Members;
use crate::api::xml::Xml;

/// Objects of one page at most, and where nothing is asked for.
const PAGE_MAX: u32 = 400;

/// Where a page begins, and how many it shows.
#[derive(Debug)]
pub(super) struct Page {
    size: usize,
    /// The key of the last object of the page before.
    behind: Option<String>,
}

impl Page {
    /// The page that is asked for.
    pub(super) fn of(members: &mut Members) -> Result<Self, AwsError> {
        let size = members.integer("PageSize", 1..=PAGE_MAX)?.unwrap_or(PAGE_MAX);
        let marker = members.text("Marker").filter(|marker| !marker.is_empty());
        let key = |marker: String| {
            let bytes = hex::decode(&marker).ok();
            let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let wrong = || members.broken("Marker", &marker, "Member must be a NextMarker");
            key.ok_or_else(wrong)
        };
        let behind = marker.map(key).transpose()?;
        Ok(Self { size: size as usize, behind })
    }

    /// The objects of the page among `all`, in the order of their keys, which are unique; and the
    /// marker of the next page, if there is one.
    pub(super) fn of_all<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let is_behind = |key: &str| self.behind.as_deref().is_none_or(|behind| key > behind);
        let keyed = all.into_iter().map(|object| (key(&object), object));
        let mut left: Vec<(String, T)> = keyed.filter(|(key, _)| is_behind(key)).collect();
        let more = left.len() > self.size;
        if more {
            left.select_nth_unstable_by(self.size, |a, b| a.0.cmp(&b.0));
            left.truncate(self.size);
        }
        left.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let last = left.last().filter(|_| more);
        let marker = last.map(|(key, _)| hex::encode(key));
        (left.into_iter().map(|(_, object)| object).collect(), marker)
    }
}

/// Writes where the next page begins; nothing on the last page.
pub(super) fn write_marker(xml: &mut Xml, marker: Option<&str>) {
    xml.text_if("NextMarker", marker);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(size: usize, marker: Option<String>) -> Page {
        let behind = marker.map(|m| String::from_utf8(hex::decode(m).unwrap()).unwrap());
        Page { size, behind }
    }

    #[test]
    fn pages_go_on_behind_the_last_object_shown_even_if_that_is_gone() {
        let key = |name: &&str| (*name).to_owned();
        let (shown, marker) = page(2, None).of_all(["d", "a", "c", "b", "e"], key);
        assert_eq!(shown, ["a", "b"]);
        let (shown, marker) = page(2, marker).of_all(["e", "d", "a", "bb"], key);
        assert_eq!(shown, ["bb", "d"]);
        let (shown, marker) = page(2, marker).of_all(["e", "d", "a", "bb"], key);
        assert_eq!((shown, marker), (vec!["e"], None));
        assert_eq!(page(2, None).of_all(["b", "a"], key), (vec!["a", "b"], None));
        assert_eq!(page(1, None).of_all([], key), (vec![], None));
    }
}
