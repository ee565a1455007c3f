//! `[alibaba]`: how the Alibaba dialect names itself.

use super::aws::region;
use super::error::ConfigError;
use super::file::Section;

/// `[alibaba]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlibabaConfig {
    /// Region of what it shows.
    pub region: String,
}

impl Default for AlibabaConfig {
    fn default() -> Self {
        Self { region: "cn-hangzhou".to_owned() }
    }
}

pub(super) fn read(root: &Section<'_>) -> Result<AlibabaConfig, ConfigError> {
    let section = root.section("alibaba", "alibaba", &["region"])?;
    let mut alibaba = AlibabaConfig::default();
    if let Some(setting) = section.get("region") {
        alibaba.region = region(&setting, "cn-hangzhou")?;
    }
    Ok(alibaba)
}
