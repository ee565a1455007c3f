//! Times as the vendors' clients write them: ISO 8601 in UTC, whole seconds, nothing left out.

/// Milliseconds since 1970 of `20261121T085559Z`.
pub(in crate::access) fn basic(text: &str) -> Option<u64> {
    parse(text, "YMDTHMSZ")
}

/// Milliseconds since 1970 of `2026-11-21T08:55:59Z`.
pub(crate) fn extended(text: &str) -> Option<u64> {
    parse(text, "Y-M-DTH:M:SZ")
}

/// Reads `text` by `form`, in which `Y` is four digits, `M`, `D`, `H`, `S` are two, and everything
/// else is itself.
fn parse(text: &str, form: &str) -> Option<u64> {
    let mut rest = text.as_bytes();
    let mut numbers = [0; 6];
    let mut next = numbers.iter_mut();
    for letter in form.bytes() {
        let digits = match letter {
            b'Y' => 4,
            b'M' | b'D' | b'H' | b'S' => 2,
            _ => {
                rest = rest.strip_prefix(&[letter])?;
                continue;
            }
        };
        let (number, tail) = rest.split_at_checked(digits)?;
        *next.next()? = decimal(number)?;
        rest = tail;
    }
    let [year, month, day, hour, minute, second] = numbers;
    let is_time = hour < 24 && minute < 60 && second < 60;
    if !rest.is_empty() || !is_time {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
    })
}

/// Days since 1970-01-01 of a day from then on, in the Gregorian calendar; none where there is no
/// such day. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(is_leap),
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::Rfc3339;

    #[test]
    fn every_day_of_four_hundred_years_is_read_as_it_is_printed() {
        for day in 0..146_097_u64 {
            let ms = day * 86_400_000 + 86_399_000;
            let printed = Rfc3339(i64::try_from(ms).unwrap()).to_string().replace(".000", "");
            assert_eq!(extended(&printed), Some(ms), "{printed}");
            assert_eq!(basic(&printed.replace(['-', ':'], "")), Some(ms), "{printed}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "20261121T085559",
            "20261121T085559Z ",
            "20261121T245559Z",
            "20261121T086059Z",
            "20261121T085560Z",
            "20260229T000000Z",
            "20261301T000000Z",
            "20260001T000000Z",
            "20260100T000000Z",
            "19691231T235959Z",
            "2026112aT085559Z",
            "+0261121T085559Z",
            "2026-11-21T08:55:59Z",
        ] {
            assert_eq!(basic(text), None, "{text}");
        }
        assert_eq!(extended("20261121T085559Z"), None);
        assert_eq!(extended("2026-11-21T08:55:59.000Z"), None);
        assert_eq!(basic("20000229T000000Z"), Some(951_782_400_000));
    }
}
