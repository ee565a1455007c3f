//! Who may ask over the loopback TCP listener (DESIGN 5.4): every request there is signed with a
//! key of `keys.toml`, in one of the three ways that the vendors' clients sign.
//!
//! Pure but for [`KeyFile`]: requests are bytes, the time is an input. A request is judged in two
//! steps, so that no body is waited for that cannot be right: [`Guard::admit`] by its head alone,
//! [`Guard::verify`] with the body. Work and memory are bounded whatever comes; no refusal says
//! more than the vendor's own service does, and none holds a secret.

mod acs3;
mod authorization;
mod canonical;
pub(crate) mod date;
mod digest;
mod guard;
mod head;
mod key_file;
mod keys;
mod nonces;
mod origin;
mod refusal;
mod rpc1;
mod sigv4;
#[cfg(test)]
mod tests;
mod throttle;

pub use guard::{Claim, Guard};
pub use head::{Dialect, Head};
pub use key_file::{Change, KeyFile, KeyFileError};
pub use keys::{Key, Keys, KeysError, Secret};
pub use origin::check_origin;
pub use refusal::{Refusal, Refused, Said};
