//! Durations as text with a unit: `100ms`, `30s`, `1.5m`, `24h`, `7d`; whole milliseconds.

use super::error::{Problem, quoted};
use std::time::Duration;

/// Units and their milliseconds, the largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The duration that `text` says: a number, with a fraction if need be, and one unit.
///
/// # Errors
/// Not a number with a unit, not whole milliseconds, or beyond 2^63 milliseconds.
pub fn parse(text: &str) -> Result<Duration, Problem> {
    let problem = || {
        Problem::new(
            format!("{} is not a duration", quoted(text)),
            "write it as 500ms, 10s, 5m, 2h or 1d",
        )
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(problem)?;
    let (number, unit) = text.split_at(digits);
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(problem)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(problem());
    }
    let long =
        || Problem::new(format!("{} is too long", quoted(text)), "write less than a million days");
    let whole_ms = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(*unit_ms));
    let fraction_ms = fraction_ms(fraction, *unit_ms).ok_or_else(|| {
        Problem::new(
            format!("{} is not whole milliseconds", quoted(text)),
            "1ms is the unit of time",
        )
    })?;
    let ms = whole_ms.and_then(|whole| whole.checked_add(fraction_ms)).ok_or_else(long)?;
    if ms > 1_000_000 * UNITS[0].1 {
        return Err(long());
    }
    Ok(Duration::from_millis(ms))
}

/// Milliseconds of `0.{digits}` units; none where that is not a whole number.
fn fraction_ms(digits: &str, unit_ms: u64) -> Option<u64> {
    let digits = digits.trim_end_matches('0');
    // No unit has more than eight digits of milliseconds, so neither has an exact fraction.
    let scale = 10_u64.checked_pow(u32::try_from(digits.len()).ok().filter(|&len| len <= 9)?)?;
    let number = if digits.is_empty() { 0 } else { digits.parse::<u64>().ok()? };
    let ms = number * unit_ms;
    ms.is_multiple_of(scale).then(|| ms / scale)
}

/// A duration as it is written: a whole number and the largest unit that it is a multiple of, but
/// seconds up to ten minutes, as the vendors count them. Parts of a millisecond are left out.
#[must_use]
pub fn text(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, unit_ms) = UNITS
        .into_iter()
        .filter(|&(_, unit_ms)| unit_ms <= 1_000 || ms >= 600_000)
        .find(|&(_, unit_ms)| ms.is_multiple_of(unit_ms))
        .unwrap_or(("ms", 1));
    if ms == 0 {
        return "0s".to_owned();
    }
    format!("{}{unit}", ms / unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        let cases = [
            ("0s", 0, "0s"),
            ("100ms", 100, "100ms"),
            ("10s", 10_000, "10s"),
            ("1.5s", 1_500, "1500ms"),
            ("0.001s", 1, "1ms"),
            ("300s", 300_000, "300s"),
            ("5m", 300_000, "300s"),
            ("60m", 3_600_000, "1h"),
            ("24h", 86_400_000, "1d"),
            ("0.5d", 43_200_000, "12h"),
            ("1.10s", 1_100, "1100ms"),
        ];
        for (written, ms, shown) in cases {
            let duration = parse(written).unwrap();
            assert_eq!(duration, Duration::from_millis(ms), "{written}");
            assert_eq!(text(duration), shown);
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        let bad =
            ["", "10", "s", "ms", ".5s", "5.s", "1.2.3s", "10 s", "-1s", "1e3s", "10S", "1us"];
        for text in bad {
            assert!(parse(text).unwrap_err().what.ends_with("is not a duration"), "{text}");
        }
        for text in ["0.0001s", "0.5ms", "0.0000000000000000000000001d"] {
            assert!(parse(text).unwrap_err().what.ends_with("not whole milliseconds"), "{text}");
        }
        for text in ["99999999999999999999s", "18446744073709551615d", "1000001d"] {
            assert!(parse(text).unwrap_err().what.ends_with("is too long"), "{text}");
        }
    }
}
