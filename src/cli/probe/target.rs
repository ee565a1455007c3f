//! One TARGET of the command line, or one line of `--targets`, taken apart.
//!
//! ```text
//! 10.0.0.1:80   [::1]:80   host:80   10.0.0.0/16:80   tcp://host:80   http://host:8080/healthz
//! https://host/healthz   tls://host:465   udp://host:53   grpc://host:50051   grpcs://host
//! ```

use crate::config::targets::{TargetRange, parse_target};
use crate::config::{CheckProtocol, PATH_CURE, Problem, path_wrong, quoted};
use crate::limits::HTTP_HOST_CHARS_MAX;

/// Where a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// One address, or all of a CIDR range.
    Addresses(TargetRange),
    /// A name, still to be resolved, and the port where one was written.
    Name(&'a str, Option<u16>),
}

/// One target as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// None: that of `--protocol`.
    pub(super) protocol: Option<CheckProtocol>,
    pub(super) place: Place<'a>,
    /// Whether it was written as a CIDR range, of one address or many.
    pub(super) is_range: bool,
    /// None: that of `--path`.
    pub(super) path: Option<String>,
}

/// Takes `text` apart.
///
/// # Errors
/// What is wrong with it and what would be right.
pub(super) fn parse(text: &str) -> Result<Target<'_>, Problem> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return parse_plain(None, text, text);
    };
    let named = |protocol: &CheckProtocol| protocol.name().eq_ignore_ascii_case(scheme);
    let Some(protocol) = CheckProtocol::ALL.into_iter().find(named) else {
        let what = format!("unknown scheme of target {}", quoted(text));
        let schemes = CheckProtocol::ALL.map(|known| word(known) + "://");
        return Err(Problem::new(what, format!("allowed: {}", schemes.join(", "))));
    };
    match protocol {
        CheckProtocol::Http | CheckProtocol::Https => parse_url(protocol, rest, text),
        CheckProtocol::Tcp
        | CheckProtocol::Tls
        | CheckProtocol::Udp
        | CheckProtocol::Grpc
        | CheckProtocol::Grpcs => {
            parse_plain(Some(protocol), rest.strip_suffix('/').unwrap_or(rest), text)
        }
    }
}

/// `place` alone; `text` is what the whole target looks like.
fn parse_plain<'a>(
    protocol: Option<CheckProtocol>,
    place: &'a str,
    text: &'a str,
) -> Result<Target<'a>, Problem> {
    let place_of = |place| parse_place(place, text);
    match place_of(place) {
        Ok(found) => {
            let is_range = place.contains('/');
            Ok(Target { protocol, place: found, is_range, path: None })
        }
        Err(problem) => match place.split_once('/') {
            // A range that is wrong has a problem of its own; this one is of an address with a
            // path.
            Some((host, path)) if place_of(host).is_ok() && !is_prefix(path) => Err(Problem::new(
                format!("target {} has a path, but is not HTTP", quoted(text)),
                "write http:// before it, or leave the path out",
            )),
            Some(_) | None => Err(problem),
        },
    }
}

fn parse_url<'a>(
    protocol: CheckProtocol,
    rest: &'a str,
    text: &'a str,
) -> Result<Target<'a>, Problem> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if authority.contains('@') {
        return Err(Problem::new(
            format!("target {} has a user name", quoted(text)),
            "leave it out: probes do not log in",
        ));
    }
    let place = parse_place(authority, text)?;
    let has_port = match place {
        Place::Addresses(range) => range.port.is_some(),
        Place::Name(_, port) => port.is_some(),
    };
    if !has_port && tail.contains(':') && tail.strip_prefix('/').is_some_and(is_prefix) {
        return Err(Problem::new(
            format!("target {} may be a range or a path", quoted(text)),
            format!("for the range write {authority}{tail} --protocol {}", word(protocol)),
        ));
    }
    let tail = tail.split('#').next().unwrap_or_default();
    let path = match tail.chars().next() {
        None => None,
        Some('/') => Some(tail.to_owned()),
        Some(_) => Some(format!("/{tail}")),
    };
    if let Some(wrong) = path.as_deref().and_then(path_wrong) {
        return Err(Problem::new(format!("path of target {} {wrong}", quoted(text)), PATH_CURE));
    }
    Ok(Target { protocol: Some(protocol), place, is_range: false, path })
}

/// As it stands before `://`.
pub(super) fn word(protocol: CheckProtocol) -> String {
    protocol.name().to_lowercase()
}

fn parse_place<'a>(place: &'a str, text: &str) -> Result<Place<'a>, Problem> {
    if place.is_empty() {
        return Err(Problem::new(
            format!("target {} has no address", quoted(text)),
            "write it as 10.0.0.1:80, host:80, [::1]:80 or 10.0.0.0/16:80",
        ));
    }
    let problem = match parse_target(place) {
        Ok(range) => return Ok(Place::Addresses(range)),
        Err(problem) => problem,
    };
    let (name, port) = match place.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (place, None),
    };
    let number = port.map(|port| port.parse::<u16>().ok().filter(|&number| number > 0));
    match (is_name(name), number) {
        (true, None) => Ok(Place::Name(name, None)),
        (true, Some(Some(port))) => Ok(Place::Name(name, Some(port))),
        (true, Some(None)) | (false, _) => Err(problem),
    }
}

/// Whether this can be the name of a host. What has digits and dots only is an address gone wrong,
/// which resolvers would still make something of.
fn is_name(text: &str) -> bool {
    (1..=HTTP_HOST_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && !text.starts_with(['-', '.'])
}

/// Whether this is what follows the slash of a CIDR range: `16` or `16:80`.
fn is_prefix(text: &str) -> bool {
    let (length, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(length) && is_number(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a target in one line.
    fn parts(text: &str) -> String {
        let target = parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        let place = match target.place {
            Place::Addresses(range) => format!("{range} x{} {:?}", range.count(), range.port),
            Place::Name(name, port) => format!("name {name} {port:?}"),
        };
        let range = if target.is_range { " range" } else { "" };
        format!("{:?} {place}{range} {:?}", target.protocol, target.path)
    }

    #[test]
    fn every_form_is_read() {
        let cases = [
            ("10.0.0.1:80", "None 10.0.0.1 x1 Some(80) None"),
            ("10.0.0.1", "None 10.0.0.1 x1 None None"),
            ("[::1]:80", "None ::1 x1 Some(80) None"),
            ("localhost:80", "None name localhost Some(80) None"),
            ("a-b.example_1", "None name a-b.example_1 None None"),
            ("10.0.0.9/30:80", "None 10.0.0.8-10.0.0.11 x4 Some(80) range None"),
            ("10.0.0.1/32", "None 10.0.0.1 x1 None range None"),
            ("tcp://10.0.0.0/30:80", "Some(Tcp) 10.0.0.0-10.0.0.3 x4 Some(80) range None"),
            ("TCP://localhost:80/", "Some(Tcp) name localhost Some(80) None"),
            ("http://localhost", "Some(Http) name localhost None None"),
            ("HTTP://[::1]:8080/a?b=c#d", "Some(Http) ::1 x1 Some(8080) Some(\"/a?b=c\")"),
            ("http://10.0.0.1?x", "Some(Http) 10.0.0.1 x1 None Some(\"/?x\")"),
            ("http://10.0.0.1/16", "Some(Http) 10.0.0.1 x1 None Some(\"/16\")"),
            ("https://a/b", "Some(Https) name a None Some(\"/b\")"),
            ("UDP://a:1", "Some(Udp) name a Some(1) None"),
            ("tls://10.0.0.0/31", "Some(Tls) 10.0.0.0-10.0.0.1 x2 None range None"),
            ("grpcs://a", "Some(Grpcs) name a None None"),
            ("http://10.0.0.1:80/", "Some(Http) 10.0.0.1 x1 Some(80) Some(\"/\")"),
        ];
        for (text, expected) in cases {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_cure() {
        let form = "write it as 10.0.0.1:80, host:80, [::1]:80 or 10.0.0.0/16:80";
        let cases = [
            ("", format!("target \"\" has no address; {form}")),
            ("http://:80/", "target \":80\" is not an address; write it as 10.0.0.1, 10.0.0.1:80, [2001:db8::1]:80 or 10.0.0.0/16".to_owned()),
            ("http:///x", format!("target \"http:///x\" has no address; {form}")),
            ("ftp://a", "unknown scheme of target \"ftp://a\"; allowed: tcp://, http://, https://, tls://, udp://, grpc://, grpcs://".to_owned()),
            ("udp://h:1/x", "target \"udp://h:1/x\" has a path, but is not HTTP; write http:// before it, or leave the path out".to_owned()),
            ("host:0", "port \"0\" of target \"host:0\" is not a port; allowed: 1 to 65535".to_owned()),
            ("host:http", "port \"http\" of target \"host:http\" is not a port; allowed: 1 to 65535".to_owned()),
            ("10.0.0.1:65536", "port \"65536\" of target \"10.0.0.1:65536\" is not a port; allowed: 1 to 65535".to_owned()),
            ("10.0.0.0/33:80", "target \"10.0.0.0/33:80\" has no prefix length \"33\"; allowed: /0 to /32".to_owned()),
            ("host/path", "target \"host/path\" has a path, but is not HTTP; write http:// before it, or leave the path out".to_owned()),
            ("tcp://host:1/path", "target \"tcp://host:1/path\" has a path, but is not HTTP; write http:// before it, or leave the path out".to_owned()),
            ("http://u:p@h/", "target \"http://u:p@h/\" has a user name; leave it out: probes do not log in".to_owned()),
            ("http://10.0.0.0/16:80", "target \"http://10.0.0.0/16:80\" may be a range or a path; for the range write 10.0.0.0/16:80 --protocol http".to_owned()),
            ("http://h/a b", format!("path of target \"http://h/a b\" has blanks or characters that no request line may have; {PATH_CURE}")),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        for text in ["10.0.0", "300.1.1.1:80", "-x:80", "a b:80", "[::1:80", "[fe80::1%eth0]:80"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
