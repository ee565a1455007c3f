//! XML answers: elements and texts, nothing else.
//!
//! A thin writer over quick-xml's escaping. What XML 1.0 forbids even when it is escaped (control
//! characters, which ids and names from outside may hold) becomes U+FFFD, so that every answer can
//! be parsed.

use quick_xml::escape::partial_escape;
use std::borrow::Cow;
use std::fmt::{Display, Write};

/// Content type of an XML answer.
pub(super) const TEXT_XML: &str = "text/xml";

/// XML that is being written.
#[derive(Debug, Default)]
pub(super) struct Xml {
    text: String,
}

impl Xml {
    /// An element with what `inner` writes in it; `<name/>` where that is nothing.
    pub(super) fn element(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.open(name);
        let start = self.text.len();
        inner(self);
        if self.text.len() == start {
            self.text.pop();
            self.text.push_str("/>");
        } else {
            self.close(name);
        }
    }

    /// An element that holds a text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.element(name, |xml| xml.text.push_str(&partial_escape(allowed(text))));
    }

    /// An element that holds a number or a boolean, or another value whose text needs no escaping.
    pub(super) fn plain(&mut self, name: &str, value: impl Display) {
        self.open(name);
        // A String takes everything.
        let _ = write!(self.text, "{value}");
        self.close(name);
    }

    /// An element that holds a text, if there is one.
    pub(super) fn text_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// The start of an element that [`Xml::close`] ends: for answers in pieces.
    pub(super) fn open(&mut self, name: &str) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
    }

    /// The start of an element in the name space `uri`.
    pub(super) fn open_in(&mut self, name: &str, uri: &str) {
        let _ = write!(self.text, "<{name} xmlns=\"{uri}\">");
    }

    /// The end of an element.
    pub(super) fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// XML that was written elsewhere.
    pub(super) fn append(&mut self, xml: &str) {
        self.text.push_str(xml);
    }
}

/// `text` without what XML 1.0 does not allow (its production 2, Char).
fn allowed(text: &str) -> Cow<'_, str> {
    let forbidden = |c: char| match c {
        '\t' | '\n' | '\r' => false,
        '\0'..'\u{20}' | '\u{FFFE}' | '\u{FFFF}' => true,
        _ => false,
    };
    if text.contains(forbidden) {
        Cow::Owned(text.replace(forbidden, "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_nest_and_empty_ones_are_short() {
        let mut xml = Xml::default();
        xml.open_in("A", "http://x/");
        xml.element("List", |_| ());
        xml.element("B", |xml| {
            xml.plain("Port", 80);
            xml.text("Empty", "");
            xml.text_if("None", None);
        });
        xml.close("A");
        let expected = "<A xmlns=\"http://x/\"><List/><B><Port>80</Port><Empty/></B></A>";
        assert_eq!(xml.into_text(), expected);
    }

    #[test]
    fn whatever_a_text_holds_can_be_parsed() {
        let mut xml = Xml::default();
        let all: String = ('\0'..'\u{3000}').chain("\u{FFFE}\u{FFFF}😀</T>]]>".chars()).collect();
        xml.text("T", &all);
        let text = xml.into_text();
        let mut reader = quick_xml::Reader::from_str(&text);
        loop {
            match reader.read_event() {
                Ok(quick_xml::events::Event::Eof) => break,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let inner = text.strip_prefix("<T>").unwrap().strip_suffix("</T>").unwrap();
        assert!(!inner.contains(['<', '>', '\0', '\u{1b}', '\u{FFFE}', '\r']));
        assert!(inner.contains("&lt;/T&gt;]]&gt;") && inner.contains('\u{FFFD}'));
    }
}
