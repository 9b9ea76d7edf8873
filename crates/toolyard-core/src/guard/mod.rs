//! Guarded filesystem access: one held directory handle per allowed directory, every path
//! resolved beneath it.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
