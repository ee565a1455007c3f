//! What may stand for targets: an address, with a port or without, or a CIDR range of addresses.
//!
//! ```text
//! 10.0.0.1   10.0.0.1:80   ::1   [::1]:80   10.0.0.0/16   10.0.0.0/16:80   [2001:db8::/120]:80
//! ```

use super::error::{Problem, quoted};
use ipnet::{IpNet, Ipv6Net};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// All addresses from the first to the last of a range; an address alone is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRange {
    /// As IPv6 bits; IPv4 as IPv4-mapped.
    first: u128,
    last: u128,
    /// The port, where one was written.
    pub port: Option<u16>,
}

impl TargetRange {
    /// One address.
    #[must_use]
    pub const fn single(address: IpAddr, port: Option<u16>) -> Self {
        let bits = bits(address);
        Self { first: bits, last: bits, port }
    }

    /// How many addresses, at most `u128::MAX`.
    #[must_use]
    pub const fn count(self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    /// The addresses, ascending. Whoever expands a range has looked at its count before.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> {
        (self.first..=self.last).map(|bits| Ipv6Addr::from_bits(bits).to_canonical())
    }
}

/// The first address, and the last one where there are several.
impl fmt::Display for TargetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, last] = [self.first, self.last].map(|b| Ipv6Addr::from_bits(b).to_canonical());
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

/// The content of a line of a targets file: without the comment from `#` on and the blanks around
/// it.
#[must_use]
pub fn content(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

/// An address or a CIDR range, with a port or without; host bits of a range are ignored.
///
/// # Errors
/// What is wrong with the text and what would be right, without the place.
pub fn parse_target(text: &str) -> Result<TargetRange, Problem> {
    let (address, port) = split_port(text)?;
    let port = port.map(|port| parse_port(text, port)).transpose()?;
    if let Ok(ip) = address.parse::<IpAddr>() {
        return Ok(TargetRange::single(ip.to_canonical(), port));
    }
    if let Ok(net) = address.parse::<IpNet>() {
        let (first, last) = (bits(net.network()), bits(net.broadcast()));
        return Ok(TargetRange { first, last, port });
    }
    Err(not_an_address(text, address))
}

/// Text for the address or range, and that for the port.
fn split_port(text: &str) -> Result<(&str, Option<&str>), Problem> {
    if let Some(rest) = text.strip_prefix('[') {
        let unclosed = || not_an_address(text, text);
        let (address, rest) = rest.split_once(']').ok_or_else(unclosed)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address, Some(port))),
            None if rest.is_empty() => Ok((address, None)),
            None => Err(unclosed()),
        };
    }
    // A colon is an IPv6 address's own, unless it stands behind a prefix length or there is one
    // only.
    let port_at = match text.find('/') {
        Some(slash) => text[slash..].find(':').map(|colon| slash + colon),
        None => text.find(':').filter(|&colon| !text[colon + 1..].contains(':')),
    };
    Ok(port_at.map_or((text, None), |colon| (&text[..colon], Some(&text[colon + 1..]))))
}

fn parse_port(text: &str, port: &str) -> Result<u16, Problem> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number = port.parse::<u16>().ok().filter(|&port| digits && port > 0);
    number.ok_or_else(|| match text {
        _ if text.contains("://") => not_an_address(text, text),
        _ => Problem::new(
            format!("port {} of target {} is not a port", quoted(port), quoted(text)),
            "allowed: 1 to 65535",
        ),
    })
}

fn not_an_address(text: &str, address: &str) -> Problem {
    let what = |what: &str| format!("target {} {what}", quoted(text));
    if text.contains("://") {
        return Problem::new(
            what("is a URL"),
            "write address:port; protocol and path are settings of the health check",
        );
    }
    if let Some((ip, prefix)) = address.split_once('/')
        && let Ok(ip) = ip.parse::<IpAddr>()
    {
        let most = if ip.is_ipv4() { 32 } else { Ipv6Net::default().max_prefix_len() };
        return Problem::new(
            what(&format!("has no prefix length {}", quoted(prefix))),
            format!("allowed: /0 to /{most}"),
        );
    }
    let numeric = |c: char| c.is_ascii_digit() || c == '.';
    let name = |c: char| c.is_alphanumeric() || c == '-' || c == '.' || c == '_';
    if address.chars().all(name) && !address.chars().all(numeric) && !address.is_empty() {
        return Problem::new(
            what("is a name"),
            "targets are addresses; write the address that the name resolves to",
        );
    }
    Problem::new(
        what("is not an address"),
        "write it as 10.0.0.1, 10.0.0.1:80, [2001:db8::1]:80 or 10.0.0.0/16",
    )
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> (String, String, u128, Option<u16>) {
        let range = parse_target(text).unwrap_or_else(|problem| panic!("{problem}"));
        let [first, last] =
            [range.first, range.last].map(|b| Ipv6Addr::from_bits(b).to_canonical());
        (first.to_string(), last.to_string(), range.count(), range.port)
    }

    #[test]
    fn every_form_is_read() {
        let one = |ip: &str, port| (ip.to_owned(), ip.to_owned(), 1, port);
        assert_eq!(range("10.0.0.1"), one("10.0.0.1", None));
        assert_eq!(range("10.0.0.1:80"), one("10.0.0.1", Some(80)));
        assert_eq!(range("::1"), one("::1", None));
        assert_eq!(range("[::1]"), one("::1", None));
        assert_eq!(range("[::1]:65535"), one("::1", Some(65_535)));
        assert_eq!(range("::ffff:10.0.0.1"), one("10.0.0.1", None));
        assert_eq!(range("1::2:3"), one("1::2:3", None));
        let net = |a: &str, b: &str, count, port| (a.to_owned(), b.to_owned(), count, port);
        assert_eq!(range("10.1.2.3/16"), net("10.1.0.0", "10.1.255.255", 65_536, None));
        assert_eq!(range("10.1.2.3/30:80"), net("10.1.2.0", "10.1.2.3", 4, Some(80)));
        assert_eq!(range("10.1.2.3/32"), one("10.1.2.3", None));
        assert_eq!(range("0.0.0.0/0"), net("0.0.0.0", "255.255.255.255", 1 << 32, None));
        assert_eq!(range("2001:db8::/126"), net("2001:db8::", "2001:db8::3", 4, None));
        assert_eq!(range("2001:db8::/126:80"), net("2001:db8::", "2001:db8::3", 4, Some(80)));
        assert_eq!(range("[2001:db8::/126]:80"), net("2001:db8::", "2001:db8::3", 4, Some(80)));
        assert_eq!(range("::/0").2, u128::MAX);
        let addresses: Vec<_> = parse_target("10.0.0.255/31").unwrap().addresses().collect();
        assert_eq!(addresses, ["10.0.0.254", "10.0.0.255"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let bad = [
            ("web1.internal:80", "is a name"),
            ("localhost", "is a name"),
            ("http://10.0.0.1/", "is a URL"),
            ("http://10.0.0.1:80", "is a URL"),
            ("10.0.0.256", "is not an address"),
            ("10.0.0", "is not an address"),
            ("010.0.0.1", "is not an address"),
            ("", "is not an address"),
            (":80", "is not an address"),
            ("[::1", "is not an address"),
            ("[::1]80", "is not an address"),
            ("[10.0.0.0/33]", "has no prefix length \"33\""),
            ("10.0.0.0/", "has no prefix length \"\""),
            ("::/129", "has no prefix length \"129\""),
            ("10.0.0.1:0", "is not a port"),
            ("10.0.0.1:", "is not a port"),
            ("10.0.0.1:+80", "is not a port"),
            ("10.0.0.1:65536", "is not a port"),
            ("10.0.0.1:http", "is not a port"),
            ("10.0.0.0/8:0", "is not a port"),
            ("fe80::1%eth0", "is not an address"),
        ];
        for (text, what) in bad {
            let problem = parse_target(text).unwrap_err();
            assert!(problem.what.contains(what), "{text}: {problem}");
        }
    }

    #[test]
    fn lines_have_comments_and_may_be_empty() {
        assert_eq!(content("  # nothing\r"), "");
        assert_eq!(content("\t\r"), "");
        assert_eq!(content(" 10.0.0.1 # one\r"), "10.0.0.1");
    }
}
