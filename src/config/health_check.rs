//! `[group.health_check]`: from settings to the recipe that workers use.

use super::{HealthCheck, Protocol};
use crate::check::{Check, http};
use crate::health::Thresholds;
use crate::recipe::Recipe;

impl HealthCheck {
    /// The health check as a worker uses it, the request rendered once.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        let check = match &self.protocol {
            Protocol::Tcp => Check::Tcp,
            Protocol::Http { path, host, matcher } => {
                Check::Http(http::Check::new(path, host.as_deref(), matcher.clone()))
            }
        };
        Recipe {
            interval: self.interval,
            timeout: self.timeout,
            thresholds: Thresholds {
                healthy: self.healthy_threshold,
                unhealthy: self.unhealthy_threshold,
            },
            check,
            close: self.close,
            handshake: self.handshake,
        }
    }
}
