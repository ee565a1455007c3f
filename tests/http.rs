//! The HTTP check against bytes that nobody chose: nothing panics, no cut changes an outcome, and
//! where httparse has a judgement the two agree.

use httparse::{EMPTY_HEADER, ParserConfig, Response, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use ringcheck::check::http::{Check, Matcher, Probe};
use ringcheck::check::{Action, Event};
use ringcheck::outcome::{Code, Outcome};

/// The outcome of a run that is sent `chunks`; none if it still goes on.
fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Option<Outcome> {
    let check = Check::new("/", None, Matcher::default());
    let mut probe = Probe::default();
    assert_eq!(probe.handle(&check, Event::Connected), Action::Exchange);
    for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
        let action = probe.handle(&check, Event::Received(chunk));
        if let Action::Finish(outcome) = action {
            return Some(outcome);
        }
        assert_eq!(action, Action::Receive);
    }
    None
}

/// What httparse says of the bytes: the status of a complete head, none of an incomplete one.
fn peer(bytes: &[u8]) -> Result<Option<u16>, httparse::Error> {
    let mut headers = vec![EMPTY_HEADER; bytes.len()];
    let mut response = Response::new(&mut headers);
    let mut config = ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    config.allow_spaces_after_header_name_in_responses(true);
    match config.parse_response(&mut response, bytes)? {
        Status::Complete(_) => Ok(response.code),
        Status::Partial => Ok(None),
    }
}

/// Whether httparse is stricter, or knows nothing of it: other versions than 1.0 and 1.1, statuses
/// that HTTP does not have, 1xx answers, control characters in the reason.
fn beyond_httparse(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|b| !b"\r\n".contains(b)).unwrap_or(bytes.len());
    let line = bytes[start..].split(|&b| b == b'\n').next().unwrap_or_default();
    let reason = line.get(12..).unwrap_or_default();
    !matches!(line.get(7), None | Some(b'0' | b'1'))
        || !matches!(line.get(9), None | Some(b'2'..=b'5'))
        || reason.iter().any(|&b| (b < b' ' && b != b'\r') || b == 0x7F)
}

/// Bytes that look like a head, most of them with something odd.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![6 => Just("\r\n"), 3 => Just("\n"), 1 => Just("\r")];
    let reason = prop_oneof![
        4 => Just(" OK"), 1 => Just(""), 1 => Just(" "), 1 => Just("\tx"), 1 => Just(" \u{e9}"),
        1 => Just(" \u{1}"), 1 => Just(" \0"),
    ];
    let status = (
        prop_oneof![8 => Just("HTTP/1.1"), 1 => Just("HTTP/1.0"), 1 => Just("HTTP/1.5"),
            1 => Just("HTTP/2.0"), 1 => Just("HTTP/1"), 1 => Just("SSH-2.0")],
        prop_oneof![12 => Just(" "), 1 => Just("  "), 1 => Just("")],
        prop_oneof![8 => Just(200_u16), 2 => Just(503), 1 => 0_u16..1_200, 2 => 100_u16..104],
        reason,
    );
    let name = prop_oneof![
        6 => "[a-zA-Z-]{1,20}", 1 => Just(String::new()), 1 => "[ -~]{1,3}", 1 => any::<String>(),
    ];
    let colon = prop_oneof![8 => Just(":"), 2 => Just(" :"), 1 => Just("\t: "), 1 => Just("")];
    let value = prop_oneof![6 => "[ -~\t]{0,40}", 1 => Just("\u{e9}\u{7f}".into()),
        1 => any::<String>()];
    let fold = prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\t")];
    let header = (fold, name, colon, value, end.clone())
        .prop_map(|(fold, name, colon, value, end)| format!("{fold}{name}{colon}{value}{end}"));
    let empty = prop_oneof![6 => Just(""), 1 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    (empty, status, end.clone(), vec(header, 0..5), end).prop_map(
        |(empty, (version, blank, status, reason), line_end, headers, end)| {
            let headers = headers.concat();
            format!("{empty}{version}{blank}{status}{reason}{line_end}{headers}{end}").into_bytes()
        },
    )
}

/// Heads in a row, cut off somewhere, or anything at all.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (vec(head(), 1..4), 0_usize..150).prop_map(|(heads, percent)| {
            let mut bytes = heads.concat();
            bytes.truncate(bytes.len() * percent / 100);
            bytes
        }),
        1 => vec(any::<u8>(), 0..300),
        1 => vec(any::<u8>(), 0..300).prop_map(|b| [b"HTTP/1.1 200 OK\r\n", &b[..]].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn no_cut_changes_the_outcome(bytes in stream(), cuts in vec(any::<prop::sample::Index>(), 6)) {
        let whole = run([&bytes[..]]);
        prop_assert_eq!(run(bytes.chunks(1)), whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([bytes.len()]);
        prop_assert_eq!(run(starts.zip(ends).map(|(start, end)| &bytes[start..end])), whole);
    }

    #[test]
    fn httparse_agrees(bytes in stream().prop_filter("ours alone", |b| !beyond_httparse(b))) {
        let ours = match run([&bytes[..]]) {
            None => Ok(None),
            Some(Outcome { code: Code::L7Ok | Code::L7Sts, status, .. }) => Ok(Some(status)),
            Some(Outcome { detail, .. }) => Err(detail),
        };
        let peer = peer(&bytes);
        prop_assert_eq!(ours.ok(), peer.ok(), "{:?}, {:?}: {:?}", ours, peer,
            String::from_utf8_lossy(&bytes));
    }
}
