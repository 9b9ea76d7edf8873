//! Whether a connection still does something: a peer that does nothing must not delay the end.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Instant;

/// How often it is looked whether a connection is quiet.
const LOOK: Duration = Duration::from_millis(50);

/// What a connection is doing; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Requests whose answer is not over.
    requests: AtomicUsize,
    /// Whether it is the peer that has to go on: there is more to send than it takes.
    stuck: AtomicBool,
    /// Counts what the peer took, in pieces.
    taken: AtomicUsize,
}

impl Pace {
    /// A request begins.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.requests.fetch_add(1, Ordering::AcqRel);
        self.0.stuck.store(false, Ordering::Release);
        UnderWay(self.clone())
    }

    /// Waits until for `patience` the peer took nothing, and no request was under way, or only an
    /// answer the peer does not read while no call was (`at_rest`).
    pub(super) async fn quiet(&self, patience: Duration, at_rest: impl Fn() -> bool) {
        let (mut since, mut before) = (Instant::now(), self.0.taken.load(Ordering::Acquire));
        while since.elapsed() < patience {
            tokio::time::sleep(LOOK).await;
            let taken = self.0.taken.load(Ordering::Acquire);
            let works = self.0.requests.load(Ordering::Acquire) > 0 && !(self.0.stuck.load(Ordering::Acquire) && at_rest());
            if works || taken != before {
                (since, before) = (Instant::now(), taken);
            }
        }
    }
}

/// A request whose answer is not over.
#[derive(Debug)]
pub(super) struct UnderWay(Pace);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer's body, and the request that ends with it.
pub(super) struct Paced<B> {
    body: B,
    under_way: Option<UnderWay>,
}

impl<B> Paced<B> {
    pub(super) const fn new(body: B, under_way: UnderWay) -> Self {
        Self { body, under_way: Some(under_way) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if let Some(UnderWay(pace)) = &this.under_way {
            // After a frame the next one is asked for as soon as there is room for it.
            pace.0.stuck.store(frame.is_ready(), Ordering::Release);
        }
        if matches!(frame, Poll::Ready(None)) {
            this.under_way = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that notes what its peer takes.
pub(super) struct Noted<I> {
    stream: I,
    pace: Pace,
}

impl<I> Noted<I> {
    pub(super) const fn new(stream: I, pace: Pace) -> Self {
        Self { stream, pace }
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.pace.0.taken.fetch_add(1, Ordering::AcqRel);
        }
        written
    }
}

impl<I: Read + Unpin> Read for Noted<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<I: Write + Unpin> Write for Noted<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.note(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.note(written)
    }
}
