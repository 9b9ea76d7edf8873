//! The only reading of the wall clock: for audit records and the expiry of sealed handles.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z; 0 when the clock stands before it.
#[expect(clippy::disallowed_methods, reason = "audit records and handle expiry need the wall clock")]
pub(crate) fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// RFC 3339 in UTC with milliseconds: `2026-11-21T08:15:30.123Z`.
pub(crate) fn rfc3339(millis: u64) -> String {
    let (seconds, milli) = (millis / 1000, millis % 1000);
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Writes times that are mostly of the same second as the one before, as in a trail.
#[derive(Debug, Default)]
pub(crate) struct Stamp {
    second: u64,
    /// `2026-11-21T08:15:30.`
    upto_second: String,
}

impl Stamp {
    /// Appends what [`rfc3339`] gives.
    pub(crate) fn push(&mut self, millis: u64, out: &mut Vec<u8>) {
        let second = millis / 1000;
        if self.second != second || self.upto_second.is_empty() {
            self.second = second;
            self.upto_second = rfc3339(millis);
            self.upto_second.truncate("2026-11-21T08:15:30.".len());
        }
        out.extend_from_slice(self.upto_second.as_bytes());
        let digit = |power: u64| b'0' + (millis / power % 10) as u8;
        out.extend_from_slice(&[digit(100), digit(10), digit(1), b'Z']);
    }
}

/// Date of the proleptic Gregorian calendar, counted in eras of 400 years that begin on 1 March.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{Stamp, rfc3339};

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_795_248_930_123), "2026-11-21T08:15:30.123Z");
        assert_eq!(rfc3339(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
    }

    #[test]
    fn a_stamp_writes_the_same_as_the_full_conversion() {
        let mut stamp = Stamp::default();
        for millis in [0, 7, 999, 1000, 951_782_400_123, 951_782_400_124, 1] {
            let mut out = Vec::new();
            stamp.push(millis, &mut out);
            assert_eq!(out, rfc3339(millis).into_bytes());
        }
    }
}
