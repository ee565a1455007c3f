//! The HTTP check against bytes that nobody chose: nothing panics, and no cut changes an outcome.
//! An answer in one piece goes another way through the code than one in many, so each holds the
//! other to its judgement.

use proptest::collection::vec;
use proptest::prelude::*;
use ringcheck::check::http::{BodyMatch, Check, Matcher, Probe, Request};
use ringcheck::check::{Action, Event};
use ringcheck::outcome::Outcome;

/// How a run ends that is sent `chunks`: before the end of the stream, or with it.
fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (bool, Outcome) {
    run_of(&Check::new("/", None, Matcher::default()), chunks)
}

fn run_of<'a>(check: &Check, chunks: impl IntoIterator<Item = &'a [u8]>) -> (bool, Outcome) {
    let mut probe = Probe::default();
    assert_eq!(probe.handle(check, Event::Connected), Action::Exchange);
    for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
        let action = probe.handle(check, Event::Received(chunk));
        if let Action::Finish(outcome) = action {
            return (true, outcome);
        }
        assert_eq!(action, Action::Receive);
    }
    let Action::Finish(outcome) = probe.handle(check, Event::Closed) else {
        panic!("the end of the stream is an end");
    };
    (false, outcome)
}

#[test]
fn every_short_text_has_one_outcome_however_it_is_cut() {
    const BYTES: &[u8; 8] = b"a: \r\n\0\x01H";
    const LEN: u32 = 5;
    for start in ["", "HTTP/1.1 200", "HTTP/1.0 503 \n", "HTTP/1.9 100\r\n", "HTTP/1.1 200 OK\na:"]
    {
        for mut number in 0..BYTES.len().pow(LEN) {
            let mut bytes = start.as_bytes().to_vec();
            for _ in 0..LEN {
                bytes.push(BYTES[number % BYTES.len()]);
                number /= BYTES.len();
            }
            let whole = run([&bytes[..]]);
            assert_eq!(run(bytes.chunks(1)), whole, "\"{}\"", bytes.escape_ascii());
            for at in start.len()..bytes.len() {
                let (first, second) = bytes.split_at(at);
                let text = bytes.escape_ascii();
                assert_eq!(run([first, second]), whole, "\"{text}\", cut at {at}");
            }
        }
    }
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

/// A head that says something of a body, and a body that may hold to it.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        3 => (0_usize..30).prop_map(|len| format!("Content-Length: {len}\r\n")),
        3 => Just("Transfer-Encoding: chunked\r\n".to_owned()),
        1 => Just(String::new()),
        1 => Just("a: b\r\n c: d\r\n".to_owned()),
    ];
    let chunk = prop_oneof![
        4 => "[nok]{1,9}".prop_map(|data| format!("{:x}\r\n{data}\r\n", data.len())),
        1 => Just("0\r\n\r\n".to_owned()),
        1 => "[nok0-9;\r\n]{1,5}",
    ];
    let skipped = prop_oneof![3 => Just(""), 1 => Just("HTTP/1.1 100 C\r\nContent-Length: 1\n\n")];
    (skipped, vec(header, 0..3), vec(chunk, 0..6)).prop_map(|(skipped, headers, chunks)| {
        let (headers, chunks) = (headers.concat(), chunks.concat());
        format!("{skipped}HTTP/1.1 200 OK\r\n{headers}\r\n{chunks}").into_bytes()
    })
}

/// `bytes` cut in pieces.
fn pieces<'a>(
    bytes: &'a [u8],
    cuts: &[prop::sample::Index],
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let starts = std::iter::once(0).chain(cuts.clone());
    let ends = cuts.into_iter().chain([bytes.len()]);
    starts.zip(ends).map(|(start, end)| &bytes[start..end])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn no_cut_changes_the_outcome(bytes in stream(), cuts in vec(any::<prop::sample::Index>(), 6)) {
        let whole = run([&bytes[..]]);
        prop_assert_eq!(run(bytes.chunks(1)), whole);
        prop_assert_eq!(run(pieces(&bytes, &cuts)), whole);
    }

    #[test]
    fn no_cut_changes_what_a_body_comes_to(
        bytes in answer(),
        cuts in vec(any::<prop::sample::Index>(), 6),
    ) {
        let plain = || Check::new("/", None, Matcher::default());
        for check in [
            plain().matching(BodyMatch::contains("ook").unwrap()),
            plain().matching(BodyMatch::regex("n(o|k)k$").unwrap()),
            Check::reusing(&Request::get("/"), Matcher::default()),
        ] {
            let (_, whole) = run_of(&check, [&bytes[..]]);
            prop_assert_eq!(run_of(&check, bytes.chunks(1)).1, whole);
            prop_assert_eq!(run_of(&check, pieces(&bytes, &cuts)).1, whole);
        }
    }
}
