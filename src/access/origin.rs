//! Whether a request comes from this host's own programs, and not from a browser's page.
//!
//! A page may send requests to loopback ports: with an Origin header, or, where its own name was
//! made to mean 127.0.0.1 (DNS rebinding), with that name as Host. Both are refused.

use super::head::Head;
use super::refusal::{Refusal, Refused};
use std::net::{IpAddr, Ipv6Addr};

/// Refuses a request with an Origin, and one whose Host, or `authority` where the request names a
/// whole URL, is not this host's own.
///
/// # Errors
/// What is wrong, in the dialect of the request.
pub fn check_origin(head: &Head<'_>, authority: Option<&str>) -> Result<(), Refused> {
    let mut hosts = head.all("host").chain(authority.map(str::as_bytes));
    let is_one = head.all("host").count() == 1;
    let refusal = if head.all("origin").next().is_some() {
        Refusal::Origin
    } else if !is_one || !hosts.all(is_local) {
        Refusal::ForeignHost
    } else {
        return Ok(());
    };
    Err(Refused { dialect: head.dialect(), refusal })
}

/// Whether `host[:port]` is `localhost` or a loopback address.
fn is_local(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if !address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()) {
                return false;
            }
            ("localhost", rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("0")))
        }
        None => host.split_once(':').map_or((host, Some("0")), |(name, port)| (name, Some(port))),
    };
    let is_port = port.is_some_and(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    let is_loopback = || match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback(),
        Ok(IpAddr::V6(_)) | Err(_) => false,
    };
    is_port && (name.eq_ignore_ascii_case("localhost") || is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Dialect;

    #[test]
    fn only_this_hosts_own_names_are_local() {
        for host in
            ["localhost", "LocalHost:80", "127.0.0.1", "127.9.8.7:65535", "[::1]", "[::1]:80"]
        {
            assert!(is_local(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":80",
            "localhost.",
            "localhost.evil.example",
            "evil.example",
            "127.0.0.1.evil.example",
            "127.1",
            "128.0.0.1",
            "0.0.0.0",
            "10.0.0.1:80",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[::2]:80",
            "[::ffff:10.0.0.1]",
            "localhost:65536",
            "localhost:+80",
            "localhost:80:80",
            "user@localhost",
            "localhost@evil.example",
            "elasticloadbalancing.us-east-1.amazonaws.com",
        ] {
            assert!(!is_local(host.as_bytes()), "{host}");
        }
        assert!(!is_local(b"\xff"));
    }

    #[test]
    fn one_host_and_no_origin() {
        let check = |headers: &[(&str, &[u8])], authority| {
            let head = Head { method: "GET", path: "/v1/summary", query: "", headers };
            check_origin(&head, authority).map_err(|refused| {
                assert_eq!(refused.dialect, Dialect::Native);
                refused.refusal
            })
        };
        let good: (&str, &[u8]) = ("Host", b"127.0.0.1:9411");
        assert_eq!(check(&[good], None), Ok(()));
        assert_eq!(check(&[good], Some("localhost")), Ok(()));
        assert_eq!(check(&[good], Some("evil.example")), Err(Refusal::ForeignHost));
        assert_eq!(check(&[], None), Err(Refusal::ForeignHost));
        assert_eq!(check(&[good, good], None), Err(Refusal::ForeignHost));
        assert_eq!(check(&[("host", b"evil.example")], None), Err(Refusal::ForeignHost));
        for origin in [b"null".as_slice(), b"", b"http://127.0.0.1:9411"] {
            assert_eq!(check(&[good, ("ORIGIN", origin)], None), Err(Refusal::Origin));
        }
    }
}
