//! One finished probe as a line of text: a table's row, a JSON object, or comma-separated values.

use super::ProbeFormat;
use crate::check::tls::Presented;
use crate::check::tls::presented::detail_text;
use crate::cli::units;
use crate::endpoint::Endpoint;
use crate::outcome::{Class, Outcome};
use crate::report::Phases;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::io::{self, Write};

/// The names of the JSON object's keys, in its order; the csv's header.
const CSV_HEADER: &str = "target,address,outcome,code,detail,status,connect_us,tls_us,\
                          first_byte_us,total_us";
/// Narrowest and widest column for targets; longer ones push their row to the right.
const TARGET_CHARS: std::ops::RangeInclusive<usize> = 12..=48;

/// One finished probe.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The target as given; none where that is its address and port.
    pub name: Option<&'a str>,
    /// Where the probe went.
    pub endpoint: Endpoint,
    /// What came of it.
    pub outcome: Outcome,
    /// How long its phases took.
    pub phases: Phases,
    /// What the target presented in its last TLS handshake.
    pub presented: Option<&'a Presented>,
}

/// DESIGN 4, to the letter.
#[derive(Serialize)]
struct Object<'a> {
    target: &'a str,
    address: &'a str,
    outcome: &'a str,
    code: &'a str,
    detail: &'a str,
    status: Option<u16>,
    connect_us: Option<u32>,
    tls_us: Option<u32>,
    first_byte_us: Option<u32>,
    total_us: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'a Presented>,
}

/// Writes rows in one format. Keeps the memory of the line before.
#[derive(Debug)]
pub(super) struct Rows {
    format: ProbeFormat,
    has_colour: bool,
    target_chars: usize,
    /// Seconds since 1970, to say how long a certificate holds.
    now_s: i64,
    address: String,
}

impl Rows {
    /// `target_chars`: length of the longest target, so that the columns of a table stand.
    pub(super) fn new(
        format: ProbeFormat,
        has_colour: bool,
        target_chars: usize,
        now_s: i64,
    ) -> Self {
        let target_chars = target_chars.clamp(*TARGET_CHARS.start(), *TARGET_CHARS.end());
        Self { format, has_colour, target_chars, now_s, address: String::new() }
    }

    /// What stands above the rows.
    pub(super) fn header(&self, out: &mut impl Write) -> io::Result<()> {
        match self.format {
            ProbeFormat::Json => Ok(()),
            ProbeFormat::Csv => writeln!(out, "{CSV_HEADER}"),
            ProbeFormat::Table => writeln!(
                out,
                "{:<width$}  RESULT       CODE     STATUS    CONNECT      TOTAL  DETAIL",
                "TARGET",
                width = self.target_chars
            ),
        }
    }

    /// One row with its line end.
    pub(super) fn write(&mut self, out: &mut impl Write, row: &Row<'_>) -> io::Result<()> {
        use std::fmt::Write as _;
        self.address.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.address, "{}", row.endpoint);
        let target = row.name.unwrap_or(&self.address);
        let detail = detail_text(row.outcome, row.presented, self.now_s);
        match self.format {
            ProbeFormat::Table => {
                let tls = row.presented.filter(|_| detail.is_empty());
                let detail = tls.map_or(detail, |presented| self.in_short(presented));
                self.table(out, row, target, &detail)
            }
            ProbeFormat::Json => json(out, &object(row, target, &self.address, &detail)),
            ProbeFormat::Csv => csv(out, &object(row, target, &self.address, &detail)),
        }
    }

    /// What a target presented that passed: `TLSv1.3, certificate expires in 12 days`.
    fn in_short(&self, presented: &Presented) -> String {
        match &presented.leaf {
            Some(leaf) => format!("{}, certificate {}", presented.version, leaf.expiry(self.now_s)),
            None => presented.version.to_owned(),
        }
    }

    fn table(
        &self,
        out: &mut impl Write,
        row: &Row<'_>,
        target: &str,
        detail: &str,
    ) -> io::Result<()> {
        let (word, colour) = match row.outcome.class() {
            Class::Pass => ("pass", AnsiColor::Green),
            Class::Fail => ("fail", AnsiColor::Red),
            Class::LocalFault => ("local fault", AnsiColor::Yellow),
        };
        let style = if self.has_colour { colour.on_default() } else { Style::new() };
        let time =
            |us: Option<u32>| us.map_or_else(|| "-".to_owned(), |us| units::micros(us.into()));
        let status = match row.outcome.status {
            0 => "-".to_owned(),
            status => status.to_string(),
        };
        let line = format!(
            "{target:<width$}  {style}{word:<11}{style:#}  {code:<7}  {status:>6}  {connect:>9}  \
             {total:>9}  {detail}",
            width = self.target_chars,
            code = row.outcome.code.name(),
            connect = time(row.phases.connect_us),
            total = units::micros(row.phases.total_us.into()),
        );
        writeln!(out, "{}", line.trim_end())
    }
}

fn object<'a>(row: &Row<'a>, target: &'a str, address: &'a str, detail: &'a str) -> Object<'a> {
    Object {
        target,
        address,
        outcome: row.outcome.class().name(),
        code: row.outcome.code.name(),
        detail,
        status: Some(row.outcome.status).filter(|&status| status != 0),
        connect_us: row.phases.connect_us,
        tls_us: row.phases.tls_us,
        first_byte_us: row.phases.first_byte_us,
        total_us: row.phases.total_us,
        tls: row.presented,
    }
}

fn json(out: &mut impl Write, object: &Object<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

fn csv(out: &mut impl Write, object: &Object<'_>) -> io::Result<()> {
    for (place, text) in [object.target, object.address, object.outcome, object.code, object.detail]
        .iter()
        .enumerate()
    {
        let comma = if place == 0 { "" } else { "," };
        // RFC 4180: quoted where a comma, a quote or a line end stands in it, quotes doubled.
        if text.contains([',', '"', '\n', '\r']) {
            write!(out, "{comma}\"{}\"", text.replace('"', "\"\""))?;
        } else {
            write!(out, "{comma}{text}")?;
        }
    }
    let numbers = [
        object.status.map(u32::from),
        object.connect_us,
        object.tls_us,
        object.first_byte_us,
        Some(object.total_us),
    ];
    for number in numbers {
        match number {
            Some(number) => write!(out, ",{number}")?,
            None => write!(out, ",")?,
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tls::Leaf;
    use crate::outcome::{Cause, Code, Detail};
    use nix::errno::Errno;

    fn lines(format: ProbeFormat, has_colour: bool) -> Vec<String> {
        let mut rows = Rows::new(format, has_colour, 15, 1_000);
        let endpoint = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap());
        let phases = |connect_us, first_byte_us, total_us| Phases {
            connect_us,
            tls_us: None,
            first_byte_us,
            total_us,
        };
        let mismatch = Outcome {
            code: Code::L7Sts,
            status: 503,
            detail: Detail::Cause(Cause::StatusNotMatched),
        };
        let passed = Outcome { code: Code::L7Ok, status: 200, detail: Detail::None };
        let row = |name, address, outcome, phases| Row {
            name,
            endpoint: endpoint(address),
            outcome,
            phases,
            presented: None,
        };
        let refused = Outcome::errno(Code::L4Con, Errno::ECONNREFUSED);
        let no_file = Outcome::errno(Code::SockErr, Errno::EMFILE);
        let all = [
            row(None, "127.0.0.1:80", passed, phases(Some(120), Some(300), 310)),
            row(Some("a,\"b\""), "[::1]:443", refused, phases(None, None, 15_200)),
            row(
                Some("http://h/"),
                "10.0.0.1:80",
                mismatch,
                phases(Some(1_000), Some(2), 6_000_000),
            ),
            row(None, "10.0.0.2:80", no_file, phases(None, None, 0)),
        ];
        let mut out = Vec::new();
        rows.header(&mut out).unwrap();
        for row in &all {
            rows.write(&mut out, row).unwrap();
        }
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn json_has_exactly_the_agreed_keys() {
        let expected = [
            r#"{"target":"127.0.0.1:80","address":"127.0.0.1:80","outcome":"pass","code":"L7OK","detail":"","status":200,"connect_us":120,"tls_us":null,"first_byte_us":300,"total_us":310}"#,
            r#"{"target":"a,\"b\"","address":"[::1]:443","outcome":"fail","code":"L4CON","detail":"connection refused (ECONNREFUSED)","status":null,"connect_us":null,"tls_us":null,"first_byte_us":null,"total_us":15200}"#,
            r#"{"target":"http://h/","address":"10.0.0.1:80","outcome":"fail","code":"L7STS","detail":"status 503","status":503,"connect_us":1000,"tls_us":null,"first_byte_us":2,"total_us":6000000}"#,
            r#"{"target":"10.0.0.2:80","address":"10.0.0.2:80","outcome":"local_fault","code":"SOCKERR","detail":"too many open files (EMFILE)","status":null,"connect_us":null,"tls_us":null,"first_byte_us":null,"total_us":0}"#,
        ];
        assert_eq!(lines(ProbeFormat::Json, false), expected);
    }

    #[test]
    fn what_was_presented_is_shown_where_there_is_something() {
        let leaf = |not_after| {
            Some(std::sync::Arc::new(Leaf {
                subject: "CN=a".into(),
                issuer: "CN=b".into(),
                not_before: 0,
                not_after,
                names: Box::default(),
            }))
        };
        let presented = |leaf| Presented {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            alpn: None,
            leaf,
        };
        let written = |format, outcome, presented: &Presented| {
            let row = Row {
                name: Some("a"),
                endpoint: Endpoint::from("127.0.0.1:443".parse::<std::net::SocketAddr>().unwrap()),
                outcome,
                phases: Phases { tls_us: Some(7), ..Phases::default() },
                presented: Some(presented),
            };
            let mut out = Vec::new();
            Rows::new(format, false, 1, 1_000).write(&mut out, &row).unwrap();
            String::from_utf8(out).unwrap()
        };
        let passed = Outcome::plain(Code::L6Ok);
        let expired = Outcome::cause(Code::L6Rsp, Cause::CertificateExpired);
        let (good, bad) = (presented(leaf(1_000 + 86_400 * 12)), presented(leaf(400)));
        for (outcome, presented, end) in [
            (passed, &good, "  TLSv1.3, certificate expires in 12 days\n"),
            (passed, &bad, "  TLSv1.3, certificate expired 10 minutes ago\n"),
            (passed, &presented(None), "  TLSv1.3\n"),
            (expired, &bad, "  certificate expired 10 minutes ago\n"),
        ] {
            let table = written(ProbeFormat::Table, outcome, presented);
            assert!(table.ends_with(end), "{table}");
        }
        let json = written(ProbeFormat::Json, passed, &good);
        let tls = concat!(
            r#""tls_us":7,"first_byte_us":null,"total_us":0,"tls":{"version":"TLSv1.3","#,
            r#""cipher":"TLS_AES_128_GCM_SHA256","alpn":null,"subject":"CN=a","issuer":"CN=b","#,
            r#""not_before":"1970-01-01T00:00:00.000Z","not_after":"1970-01-13T00:16:40.000Z","#,
            r#""names":[]}}"#,
        );
        assert!(json.contains(tls), "{json}");
    }

    #[test]
    fn csv_quotes_what_it_must() {
        let expected = [
            "target,address,outcome,code,detail,status,connect_us,tls_us,first_byte_us,total_us",
            "127.0.0.1:80,127.0.0.1:80,pass,L7OK,,200,120,,300,310",
            "\"a,\"\"b\"\"\",[::1]:443,fail,L4CON,connection refused (ECONNREFUSED),,,,,15200",
            "http://h/,10.0.0.1:80,fail,L7STS,status 503,503,1000,,2,6000000",
            "10.0.0.2:80,10.0.0.2:80,local_fault,SOCKERR,too many open files (EMFILE),,,,,0",
        ];
        assert_eq!(lines(ProbeFormat::Csv, true), expected);
    }

    #[test]
    fn the_columns_of_a_table_stand() {
        let expected = [
            "TARGET           RESULT       CODE     STATUS    CONNECT      TOTAL  DETAIL",
            "127.0.0.1:80     pass         L7OK        200     120 µs     310 µs",
            "a,\"b\"            fail         L4CON         -          -    15.2 ms  connection refused (ECONNREFUSED)",
            "http://h/        fail         L7STS       503    1.00 ms     6.00 s  status 503",
            "10.0.0.2:80      local fault  SOCKERR       -          -       0 µs  too many open files (EMFILE)",
        ];
        assert_eq!(lines(ProbeFormat::Table, false), expected);
        let coloured = &lines(ProbeFormat::Table, true)[1];
        assert!(coloured.contains("\u{1b}[32mpass       \u{1b}[0m  L7OK"), "{coloured:?}");
    }
}
