//! Reads lines from a byte stream, with one buffer that is reused and never outgrows a bound.

use std::{future::Future, io};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longer lines are dropped; what fits over HTTP bodies of other servers fits here.
pub(crate) const MAX_LINE: usize = 16 * 1024 * 1024;

/// Room for one read: what a pipe holds by default.
const CHUNK: usize = 64 * 1024;

/// Read ahead is no more than this.
const AHEAD: usize = 1024 * 1024;

/// A buffer that grew beyond this for one message is given back after it.
const KEEP: usize = 2 * 1024 * 1024;

/// Where messages come from. All of it is cancel safe: what was read stays there.
pub(crate) trait Source: Send {
    /// Hands messages to `accept` until it makes something of one; `None` at the end.
    fn next<T: Send>(&mut self, accept: impl FnMut(&[u8]) -> Option<T> + Send) -> impl Future<Output = io::Result<Option<T>>> + Send;

    /// Reads without handing anything out, to notice the end; waits forever once enough was read.
    fn read_ahead(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// Whether the input has ended; messages may be left.
    fn has_ended(&self) -> bool;
}

pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the line that is being read begins.
    start: usize,
    /// Up to where there is no newline.
    scanned: usize,
    /// The rest of a line that was too long is skipped.
    skipping: bool,
    ended: bool,
}

/// Lines without their end.
impl<R: AsyncRead + Unpin + Send> Source for Lines<R> {
    async fn next<T: Send>(&mut self, mut accept: impl FnMut(&[u8]) -> Option<T> + Send) -> io::Result<Option<T>> {
        loop {
            while let Some(line) = self.take_line() {
                if let Some(accepted) = accept(line) {
                    return Ok(Some(accepted));
                }
            }
            if self.ended {
                return Ok(None);
            }
            self.drop_too_long();
            self.read_more().await?;
        }
    }

    async fn read_ahead(&mut self) -> io::Result<()> {
        if self.ended || self.buffer.len() - self.start >= AHEAD {
            return std::future::pending().await;
        }
        self.read_more().await
    }

    fn has_ended(&self) -> bool {
        self.ended
    }
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: Vec::with_capacity(CHUNK), start: 0, scanned: 0, skipping: false, ended: false }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        self.make_room();
        if self.input.read_buf(&mut self.buffer).await? == 0 {
            self.ended = true;
            // A last line without its newline is whole if it parses.
            if self.start < self.buffer.len() {
                self.buffer.push(b'\n');
            }
        }
        Ok(())
    }

    fn take_line(&mut self) -> Option<&[u8]> {
        loop {
            let unseen = self.buffer.get(self.scanned..)?;
            let Some(length) = memchr::memchr(b'\n', unseen) else {
                self.scanned = self.buffer.len();
                return None;
            };
            let (start, end) = (self.start, self.scanned + length);
            self.start = end + 1;
            self.scanned = self.start;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if end - start > MAX_LINE {
                too_long();
                continue;
            }
            return self.buffer.get(start..end);
        }
    }

    fn make_room(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            if self.buffer.capacity() > KEEP {
                self.buffer.shrink_to(CHUNK);
            }
        } else if self.start > 0 {
            self.buffer.drain(..self.start);
        }
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.reserve(CHUNK);
    }

    /// Gives up a line, of which the buffer holds nothing but a part, that is too long.
    fn drop_too_long(&mut self) {
        if self.skipping || self.buffer.len() - self.start > MAX_LINE {
            if !self.skipping {
                too_long();
            }
            self.skipping = true;
            self.buffer.clear();
            self.buffer.shrink_to(CHUNK);
            (self.start, self.scanned) = (0, 0);
        }
    }
}

fn too_long() {
    tracing::error!(limit = MAX_LINE, "a message is longer than the limit and was dropped");
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Lines, MAX_LINE, Source as _};

    async fn all(input: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(input);
        let mut seen = Vec::new();
        while let Some(line) = lines.next(|line| Some(line.to_vec())).await.unwrap_or(None) {
            seen.push(line);
        }
        seen
    }

    #[tokio::test]
    async fn lines_come_whole_and_in_order_even_the_last_without_newline() {
        let long = vec![b'x'; 3 * CHUNK];
        let input = [b"a\n\nbc\n".as_slice(), &long, b"\nlast"].concat();
        assert_eq!(all(&input).await, [b"a".to_vec(), Vec::new(), b"bc".to_vec(), long, b"last".to_vec()]);
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_dropped_and_the_next_one_is_read() {
        let input = [vec![b'x'; MAX_LINE + CHUNK + 1].as_slice(), b"\nnext\n"].concat();
        assert_eq!(all(&input).await, [b"next".to_vec()]);
    }

    #[tokio::test]
    async fn the_buffer_of_a_large_line_is_given_back() {
        let input = [vec![b'x'; 4 << 20].as_slice(), b"\nnext\n"].concat();
        let mut lines = Lines::new(input.as_slice());
        while lines.next(|line| Some(line.len())).await.unwrap_or(None).is_some() {}
        assert!(lines.buffer.capacity() <= 2 * CHUNK, "{} bytes are kept", lines.buffer.capacity());
    }
}
