//! Until when a certificate is valid. TLS libraries leave that to clients, but the operator should
//! hear of it before they do.

use std::time::Duration;

/// Seconds after 1970 at which the certificate ends; none if it is not understood.
pub(super) fn end(certificate: &[u8]) -> Option<Duration> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (SEQUENCE, validity, _) = element(fields)? else { return None };
    let (_, _, after_start) = element(validity)?;
    let (tag, text, _) = element(after_start)?;
    seconds(tag, std::str::from_utf8(text).ok()?)
}

/// Tag, content and what follows of one DER element.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` of a UTCTime, or with the century of a GeneralizedTime.
fn seconds(tag: u8, text: &str) -> Option<Duration> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let digits = text.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let pair = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day) = (pair(0)?, pair(2)?);
    let days = days_before(year, month, day)?;
    Some(Duration::from_secs(((days * 24 + pair(4)?) * 60 + pair(6)?) * 60 + pair(8)?))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_days = |years: u64| years / 4 - years / 100 + years / 400;
    let in_year = *BEFORE_MONTH.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    let past_leap_day = month > 2 && leap_days(year) > leap_days(year.checked_sub(1)?);
    let years = year.checked_sub(1970)?;
    Some(years * 365 + leap_days(year - 1) - leap_days(1969) + in_year + u64::from(past_leap_day) + day.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{end, seconds};

    #[test]
    fn the_end_of_a_certificate_is_read() {
        for ((year, month, day), expected) in [((2001, 9, 9), 999_993_600), ((2024, 3, 1), 1_709_251_200), ((2060, 12, 31), 2_871_676_800)]
        {
            let mut wanted = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
            wanted.not_before = rcgen::date_time_ymd(2000, 1, 1);
            wanted.not_after = rcgen::date_time_ymd(year, month, day);
            let key = rcgen::KeyPair::generate().expect("a key");
            let certificate = wanted.self_signed(&key).expect("a certificate");
            assert_eq!(end(certificate.der()), Some(Duration::from_secs(expected)), "{year}");
        }
    }

    #[test]
    fn times_are_counted_to_the_second_and_nonsense_is_none() {
        assert_eq!(seconds(0x17, "700101000001Z"), Some(Duration::from_secs(1)));
        assert_eq!(seconds(0x18, "20000229235959Z"), Some(Duration::from_secs(951_868_799)));
        for text in ["", "Z", "7001010000Z", "19691231235959Z", "701301000000Z", "70010100000é"] {
            assert_eq!(seconds(0x17, text), None, "{text}");
        }
        for bytes in [&b""[..], b"\x30", b"\x30\x84", b"\x30\x02\x30", b"\x30\x85\x01\x01\x01\x01\x01"] {
            assert_eq!(end(bytes), None);
        }
    }
}
