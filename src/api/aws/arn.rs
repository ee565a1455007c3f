//! ARNs of groups, load balancers and listeners.
//!
//! An ARN is made of the object's name and 16 hexadecimal digits that follow from its id: those at
//! the end of the id where it has them (every id that the daemon makes has), else a hash of it. So
//! objects of files and of the other dialects have ARNs too, the same ones after every restart, and
//! an object that was made anew under an old name has another one.

use super::error::AwsError;
use crate::config::AwsConfig;
use crate::rng::mix;

const SERVICE: &str = "elasticloadbalancing";
/// Hexadecimal digits at the end of an ARN.
const DIGITS: usize = 16;

/// What an ARN names. A load balancer's name is the one before its digits, whatever slashes it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Name of the group or load balancer; of a listener: that of its load balancer.
    pub(super) name: String,
    /// Digits of the group or load balancer.
    hex: String,
    /// Digits of the listener, if it is one.
    listener: Option<String>,
}

impl Named {
    /// Whether the object with this id is meant.
    pub(super) fn is(&self, id: &str) -> bool {
        self.hex == hex(id)
    }

    /// Whether the listener with this id is meant.
    pub(super) fn is_listener(&self, id: &str) -> bool {
        self.listener.as_deref() == Some(&*hex(id))
    }
}

/// The ARN of a group.
pub(super) fn group(aws: &AwsConfig, name: &str, id: &str) -> String {
    format!("{}:targetgroup/{name}/{}", prefix(aws), hex(id))
}

/// The ARN of a load balancer.
pub(super) fn load_balancer(aws: &AwsConfig, name: &str, id: &str) -> String {
    format!("{}:loadbalancer/net/{name}/{}", prefix(aws), hex(id))
}

/// The ARN of a listener; `name` and `id` are those of its load balancer.
pub(super) fn listener(aws: &AwsConfig, name: &str, id: &str, listener_id: &str) -> String {
    format!("{}:listener/net/{name}/{}/{}", prefix(aws), hex(id), hex(listener_id))
}

/// The group that `arn` names.
pub(super) fn parse_group(arn: &str) -> Result<Named, AwsError> {
    named(arn, "targetgroup/", false).ok_or_else(|| invalid(arn, "target group"))
}

/// The load balancer that `arn` names.
pub(super) fn parse_load_balancer(arn: &str) -> Result<Named, AwsError> {
    named(arn, "loadbalancer/net/", false).ok_or_else(|| invalid(arn, "load balancer"))
}

/// The listener that `arn` names.
pub(super) fn parse_listener(arn: &str) -> Result<Named, AwsError> {
    named(arn, "listener/net/", true).ok_or_else(|| invalid(arn, "listener"))
}

/// The digits that stand for `id`.
pub(super) fn hex(id: &str) -> String {
    let tail = id.len().checked_sub(DIGITS).and_then(|at| id.get(at..));
    let own = tail.filter(|tail| is_hex(tail) && id[..id.len() - DIGITS].ends_with('-'));
    own.map_or_else(|| format!("{:016x}", hash(id)), str::to_owned)
}

fn prefix(aws: &AwsConfig) -> String {
    format!("arn:aws:{SERVICE}:{}:{}", aws.region, aws.account)
}

fn invalid(arn: &str, kind: &str) -> AwsError {
    AwsError::validation(format!("'{}' is not a valid {kind} ARN", super::crop(arn)))
}

/// Region and account may be any: an ARN of another place names what is not here.
fn named(arn: &str, kind: &str, is_listener: bool) -> Option<Named> {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next();
    let (start, partition, service) = (next()?, next()?, next()?);
    let (region, account, resource) = (next()?, next()?, next()?);
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    if start != "arn" || partition.is_empty() || service != SERVICE || region.is_empty() {
        return None;
    }
    let mut rest = resource.strip_prefix(kind).filter(|_| is_account)?;
    let mut digits = || {
        let (before, digits) = rest.rsplit_once('/')?;
        rest = before;
        is_hex(digits).then(|| digits.to_owned())
    };
    let listener = if is_listener { Some(digits()?) } else { None };
    let hex = digits()?;
    (!rest.is_empty()).then(|| Named { name: rest.to_owned(), hex, listener })
}

fn is_hex(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn hash(id: &str) -> u64 {
    id.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| mix(hash ^ u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_name_what_they_were_made_of() {
        let aws = AwsConfig::default();
        let start = "arn:aws:elasticloadbalancing:us-east-1:000000000000";
        let arn = group(&aws, "web", "tg-80a8406f2e894342");
        assert_eq!(arn, format!("{start}:targetgroup/web/80a8406f2e894342"));
        let named = parse_group(&arn).unwrap();
        assert_eq!(named.name, "web");
        assert!(named.is("tg-80a8406f2e894342") && !named.is("tg-80a8406f2e894343"));

        let arn = load_balancer(&aws, "a/b c", "nlb-1");
        assert_eq!(arn, format!("{start}:loadbalancer/net/a/b c/{:016x}", hash("nlb-1")));
        let named = parse_load_balancer(&arn).unwrap();
        assert!(named.name == "a/b c" && named.is("nlb-1") && !named.is("nlb-2"));

        let arn = listener(&aws, "edge", "nlb-1", "lsn-0000000000000001");
        let named = parse_listener(&arn).unwrap();
        assert!(named.is("nlb-1") && named.is_listener("lsn-0000000000000001"));
        assert!(!named.is_listener("nlb-1") && !named.is_listener("lsn-0000000000000002"));
    }

    #[test]
    fn digits_never_change() {
        assert_eq!(hex("web"), format!("{:016x}", hash("web")));
        assert_eq!(hex("tg-80A8406F2E894342"), format!("{:016x}", hash("tg-80A8406F2E894342")));
        assert_eq!(hex("é-0a8406f2e894342"), format!("{:016x}", hash("é-0a8406f2e894342")));
        assert_eq!(hash("web"), 0x80a8_406f_2e89_4342);
    }

    #[test]
    fn what_is_no_arn_is_said() {
        let good =
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/w/0123456789abcdef";
        assert!(parse_group(good).is_ok());
        let bad = [
            "",
            "web",
            "arn:aws:elasticloadbalancing",
            &good.replace("arn:aws", "arn:"),
            &good.replace("elasticloadbalancing", "ec2"),
            &good.replace("123456789012", "12345678901"),
            &good.replace("eu-west-1", ""),
            &good.replace("targetgroup", "loadbalancer/net"),
            &good.replace("/w/", "/"),
            &good.replace("/w/", "//"),
            &good.replace("abcdef", "abcdeF"),
            &good.replace("abcdef", "abcde"),
        ];
        for arn in bad {
            let error = parse_group(arn).unwrap_err();
            let text = format!("'{}' is not a valid target group ARN", super::super::crop(arn));
            assert_eq!((error.code, error.message), ("ValidationError", text));
        }
        assert!(parse_load_balancer(good).is_err() && parse_listener(good).is_err());
        assert!(
            parse_listener(
                "arn:aws:elasticloadbalancing:r:123456789012:listener/net/w/0123456789abcdef"
            )
            .is_err()
        );
    }
}
