//! The `lines` parameter: `5`, `5-20`, `5+16`, `5-`, `-20` (the last 20), `-20--10`.

use toolyard_core::ToolError;

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Counted from the first line, which is 1.
    FromStart(u64),
    /// Counted from the last line, which is 1.
    FromEnd(u64),
}

/// The lines a call wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineRange {
    /// The first line.
    pub(super) start: Bound,
    /// The last line; the end of the file without one.
    pub(super) end: Option<Bound>,
}

impl LineRange {
    /// Every line.
    pub(super) const ALL: Self = Self { start: Bound::FromStart(1), end: None };

    /// # Errors
    /// `InvalidInput` that shows the forms.
    pub(super) fn parse(text: &str) -> Result<Self, ToolError> {
        let refused = |why: &str| {
            let shown = toolyard_core::text::show(&text[..text.floor_char_boundary(60)]).into_owned();
            ToolError::invalid_input(format!("`lines` is `{shown}`: {why}"))
                .with_hint("write `40-60`, `40+21` for 21 lines, `40-` to the end, `40` for one line or `-100` for the last 100")
        };
        let malformed = || refused("that is no range");
        let (start, rest) = bound(text.trim()).ok_or_else(malformed)?;
        if let Some(count) = rest.strip_prefix('+') {
            return match (start, bound(count.trim_start())) {
                (_, Some((Bound::FromStart(0), ""))) | (Bound::FromStart(0), _) => Err(refused("lines are counted from 1")),
                (Bound::FromStart(first), Some((Bound::FromStart(count), ""))) => {
                    Ok(Self { start, end: Some(Bound::FromStart(first.saturating_add(count - 1))) })
                }
                _ => Err(malformed()),
            };
        }
        let end = match rest.strip_prefix('-') {
            // One number is one line, but a negative one means everything from there.
            None if rest.is_empty() => match start {
                Bound::FromStart(_) => Some(start),
                Bound::FromEnd(_) => None,
            },
            Some("") => None,
            Some(rest) => match bound(rest.trim_start()) {
                Some((end, "")) => Some(end),
                Some(_) | None => return Err(malformed()),
            },
            None => return Err(malformed()),
        };
        for bound in [Some(start), end].into_iter().flatten() {
            if matches!(bound, Bound::FromStart(0) | Bound::FromEnd(0)) {
                return Err(refused("lines are counted from 1"));
            }
        }
        let backwards = match (start, end) {
            (Bound::FromStart(a), Some(Bound::FromStart(b))) => b < a,
            (Bound::FromEnd(a), Some(Bound::FromEnd(b))) => b > a,
            (Bound::FromEnd(_), Some(Bound::FromStart(_))) => {
                return Err(refused("a range that starts counting at the end must end so too"));
            }
            (Bound::FromStart(_), Some(Bound::FromEnd(_))) | (_, None) => false,
        };
        if backwards {
            return Err(refused("it ends before it starts"));
        }
        Ok(Self { start, end })
    }

    /// First line and number of lines in a file of `total` lines; the number is 0 when the range
    /// lies behind the end.
    pub(super) fn within(self, total: u64) -> (u64, u64) {
        let place = |bound| match bound {
            Bound::FromStart(line) => line,
            Bound::FromEnd(back) => total.saturating_sub(back - 1).max(1),
        };
        let first = place(self.start);
        // More lines than there are from the end leave nothing, where `max(1)` would leave one.
        let last = match self.end {
            Some(Bound::FromEnd(back)) => total.saturating_sub(back - 1),
            Some(end) => place(end).min(total),
            None => total,
        };
        (first, (last + 1).saturating_sub(first))
    }
}

/// A number with an optional sign, and what follows. Numbers beyond counting are as good as the
/// largest.
fn bound(text: &str) -> Option<(Bound, &str)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    if len == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at(len);
    let number = digits.parse().unwrap_or(u64::MAX / 2).min(u64::MAX / 2);
    Some((if negative { Bound::FromEnd(number) } else { Bound::FromStart(number) }, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::LineRange;

    fn within(text: &str, total: u64) -> (u64, u64) {
        LineRange::parse(text).expect("a range").within(total)
    }

    #[test]
    fn ranges_count_from_either_end() {
        assert_eq!(within("3-5", 10), (3, 3));
        assert_eq!(within("3 - 5", 10), (3, 3));
        assert_eq!(within("3-", 10), (3, 8));
        assert_eq!(within("3", 10), (3, 1));
        assert_eq!(within("-3", 10), (8, 3));
        assert_eq!(within("-3-", 10), (8, 3));
        assert_eq!(within("-3--2", 10), (8, 2));
        assert_eq!(within("2--2", 10), (2, 8));
        assert_eq!(within("-1", 10), (10, 1));
        assert_eq!(within("3+4", 10), (3, 4));
        assert_eq!(within("3 + 1", 10), (3, 1));
    }

    #[test]
    fn ranges_are_cut_at_the_ends_of_the_file() {
        assert_eq!(within("8-99999999999999999999999", 10), (8, 3));
        assert_eq!(within("-99999999999999999999999", 10), (1, 10));
        assert_eq!(within("11", 10), (11, 0));
        assert_eq!(within("99999999999999999999999-", 10), (u64::MAX / 2, 0));
        assert_eq!(within("-30--20", 10), (1, 0));
        assert_eq!(within("1-", 0), (1, 0));
        assert_eq!(within("-5", 0), (1, 0));
        assert_eq!(within("9+5", 10), (9, 2));
        assert_eq!(within("9+99999999999999999999999", 10), (9, 2));
    }

    #[test]
    fn what_is_no_range_is_refused_with_the_forms() {
        for (text, why) in [
            ("", "no range"),
            ("a-b", "no range"),
            ("1-2-3", "no range"),
            ("1,2", "no range"),
            ("--", "no range"),
            ("1.5", "no range"),
            ("0", "counted from 1"),
            ("0-5", "counted from 1"),
            ("0+5", "counted from 1"),
            ("5+0", "counted from 1"),
            ("-5+2", "no range"),
            ("5+-2", "no range"),
            ("5+", "no range"),
            ("-0", "counted from 1"),
            ("5-3", "ends before"),
            ("-3--5", "ends before"),
            ("-3-5", "starts counting at the end"),
        ] {
            let error = LineRange::parse(text).expect_err(text);
            assert!(error.message().contains(why), "{text}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("40-60")));
        }
    }
}
