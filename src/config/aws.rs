//! `[aws]`: how the AWS dialect names itself, and the rules of the groups that it makes.

use super::Rules;
use super::error::ConfigError;
use super::file::{Section, Setting};

/// `[aws]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsConfig {
    /// Region of its ARNs, and of the signatures that are accepted.
    pub region: String,
    /// Account of its ARNs, 12 digits.
    pub account: String,
    /// Rule set of groups made through the AWS API: classic or current.
    pub rules: Rules,
}

impl Default for AwsConfig {
    fn default() -> Self {
        let (region, account) = ("us-east-1".to_owned(), "000000000000".to_owned());
        Self { region, account, rules: Rules::Classic }
    }
}

const REGION_CHARS_MAX: usize = 63;

pub(super) fn read(root: &Section<'_>) -> Result<AwsConfig, ConfigError> {
    let section = root.section("aws", "aws", &["region", "account", "rules"])?;
    let mut aws = AwsConfig::default();
    if let Some(setting) = section.get("region") {
        aws.region = region(&setting, "us-east-1")?;
    }
    if let Some(setting) = section.get("account") {
        let text = setting.text()?;
        if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(setting.wrong("is not an account", "write 12 digits, in quotes"));
        }
        text.clone_into(&mut aws.account);
    }
    if let Some(setting) = section.get("rules") {
        let words = [Rules::Classic, Rules::Current].map(|rules| (rules.name(), rules));
        aws.rules = setting.word(&words)?;
    }
    Ok(aws)
}

/// The name of a region; `example` is one.
pub(super) fn region(setting: &Setting<'_>, example: &str) -> Result<String, ConfigError> {
    let text = setting.text()?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=REGION_CHARS_MAX).contains(&text.len()) || !text.bytes().all(plain) {
        return Err(setting.wrong("is not a region", format!("write it as {example:?}")));
    }
    Ok(text.to_owned())
}
