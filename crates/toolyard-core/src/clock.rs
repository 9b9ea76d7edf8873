//! The only reading of the wall clock, for audit records and the expiry of sealed handles, and how
//! times are written.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z; 0 when the clock stands before it.
#[expect(clippy::disallowed_methods, reason = "audit records and handle expiry need the wall clock")]
pub(crate) fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// RFC 3339 in UTC with milliseconds: `2026-11-21T08:15:30.123Z`.
pub(crate) fn rfc3339(millis: u64) -> String {
    let mut text = rfc3339_seconds((millis / 1000).cast_signed());
    text.pop();
    text.push_str(&format!(".{:03}Z", millis % 1000));
    text
}

/// RFC 3339 in UTC of seconds since 1970, before it as well: `2026-11-21T08:15:30Z`.
pub fn rfc3339_seconds(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Eras of 400 years that begin on 1 March, so that a leap day is the last day of its year.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let date = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
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

#[cfg(test)]
mod tests {
    use super::{Stamp, rfc3339, rfc3339_seconds};

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_795_248_930_123), "2026-11-21T08:15:30.123Z");
        assert_eq!(rfc3339(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
    }

    #[test]
    fn dates_before_1970_count_backwards() {
        assert_eq!(rfc3339_seconds(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339_seconds(-1), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339_seconds(4_107_542_399), "2100-02-28T23:59:59Z");
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
