//! How much of an answer fits.

use crate::{Limits, ToolError};

/// Room kept back for the trailer line, cursor included.
const TRAILER_BYTES: usize = 512;

/// The room one answer has, counted in bytes; a token is taken as 3.3 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    bytes: usize,
    tokens: u32,
}

impl Budget {
    /// The budget of a call that asked for `wanted` tokens.
    ///
    /// # Errors
    /// `InvalidInput` for 0; more than the operator's cap is lowered to it without an error.
    pub fn new(wanted: Option<u32>, limits: &Limits) -> Result<Self, ToolError> {
        let tokens = match wanted {
            Some(0) => {
                return Err(ToolError::invalid_input("`max_tokens` is 0, so no answer would fit")
                    .with_hint(format!("leave it out for {} or give 100 to {}", limits.default_tokens, limits.max_tokens)));
            }
            // Below this not even one hit and the trailer fit.
            Some(wanted) => wanted.clamp(100, limits.max_tokens.max(100)),
            None => limits.default_tokens.min(limits.max_tokens),
        };
        let all = (u64::from(tokens) * 33 / 10) as usize;
        Ok(Self { bytes: all.saturating_sub(TRAILER_BYTES.min(all / 2)), tokens })
    }

    /// Bytes of text that fit, the trailer not counted.
    pub const fn bytes(self) -> usize {
        self.bytes
    }

    /// The budget as the caller sees it.
    pub const fn tokens(self) -> u32 {
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use crate::{ErrorKind, Limits};

    #[test]
    fn a_budget_is_clamped_to_the_operators_cap_and_zero_is_refused() {
        let limits = Limits::default();
        assert_eq!(Budget::new(None, &limits).map(Budget::tokens).ok(), Some(6_000));
        assert_eq!(Budget::new(Some(u32::MAX), &limits).map(Budget::tokens).ok(), Some(20_000));
        assert_eq!(Budget::new(Some(1), &limits).map(Budget::bytes).ok(), Some(165));
        assert_eq!(Budget::new(Some(0), &limits).err().map(|e| e.kind()), Some(ErrorKind::InvalidInput));
    }
}
