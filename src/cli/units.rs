//! Numbers for people: counts in groups of three, times with a fitting unit.

use std::time::Duration;

/// `1,234,567`
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 target`, `2 targets`: a count with its noun.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// Three digits and the unit that fits: `120 µs`, `1.25 ms`, `12.5 ms`, `6.01 s`.
#[must_use]
pub fn micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => scaled(micros, 1_000, "ms"),
        1_000_000.. => scaled(micros, 1_000_000, "s"),
    }
}

/// `micros / unit` with three digits, but never fewer than the whole ones. Rounded down.
fn scaled(micros: u64, unit: u64, name: &str) -> String {
    let (whole, rest) = (micros / unit, micros % unit);
    match whole {
        0..10 => format!("{whole}.{:02} {name}", rest * 100 / unit),
        10..100 => format!("{whole}.{} {name}", rest * 10 / unit),
        100.. => format!("{} {name}", count(whole)),
    }
}

/// The two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`, `8 d 1 h`.
#[must_use]
pub fn span(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = duration.as_secs();
    let first = UNITS.iter().position(|unit| seconds >= unit.0).unwrap_or(3);
    let (unit, name) = UNITS[first];
    let whole = format!("{} {name}", count(seconds / unit));
    match UNITS.get(first + 1).map(|next| (seconds % unit / next.0, next.1)) {
        Some((rest, next)) if rest > 0 => format!("{whole} {rest} {next}"),
        Some(_) | None => whole,
    }
}

/// Events per second, rounded; none where no time has passed.
#[must_use]
pub fn per_second(events: u64, during: Duration) -> Option<u64> {
    let micros = during.as_micros();
    let rate = (u128::from(events) * 1_000_000 + micros / 2).checked_div(micros)?;
    Some(u64::try_from(rate).unwrap_or(u64::MAX))
}

/// How many times `whole` goes into `part`, rounded up to a tenth: `1.8 times`.
pub(crate) fn times(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 10).div_ceil(u128::from(whole.max(1)));
    format!("{}.{} times", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let counts = [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")];
        for (number, text) in counts {
            assert_eq!(count(number), text);
        }
        assert_eq!(
            (counted(1, "target"), counted(0, "target")),
            ("1 target".into(), "0 targets".into())
        );
        let times = [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (1_259, "1.25 ms"),
            (12_590, "12.5 ms"),
            (125_900, "125 ms"),
            (6_014_999, "6.01 s"),
            (300_000_000, "300 s"),
        ];
        for (us, text) in times {
            assert_eq!(micros(us), text);
        }
        let spans = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (200, "3 min 20 s"),
            (7_500, "2 h 5 min"),
            (86_399, "23 h 59 min"),
            (694_800, "8 d 1 h"),
        ];
        for (seconds, text) in spans {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        assert_eq!(per_second(10, Duration::from_secs(4)), Some(3));
        assert_eq!(per_second(10, Duration::ZERO), None);
    }
}
