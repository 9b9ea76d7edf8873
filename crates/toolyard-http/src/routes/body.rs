//! The body of every response.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};
use toolyard_server::HttpBody;

use super::{guarded::Ended, sse::Messages};
use crate::early::Spliced;

/// A response's body and what ends with it.
pub(crate) struct Answer {
    content: Content,
    ended: Option<Ended>,
    deadline: Option<Pin<Box<Sleep>>>,
}

pub(crate) enum Content {
    Empty,
    Whole(Bytes),
    /// As the protocol's service made it.
    Served(HttpBody),
    /// A stream that began before there was an answer.
    Early(Spliced),
    /// A stream of the legacy transport.
    Messages(Messages),
}

impl Answer {
    /// Drops `ended` when the body ends, or when nobody reads on.
    pub(super) fn until(mut self, ended: Ended) -> Self {
        self.ended = Some(ended);
        self
    }

    /// Ends the body then, if it is a stream; one that listens must not outlive its token.
    pub(super) fn no_longer_than(mut self, until: Option<Instant>) -> Self {
        let streams = !self.is_end_stream() && self.size_hint().exact().is_none();
        self.deadline = until.filter(|_| streams).map(|until| Box::pin(sleep_until(until.into())));
        self
    }
}

impl From<Content> for Answer {
    fn from(content: Content) -> Self {
        Self { content, ended: None, deadline: None }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            this.deadline = None;
            this.content = Content::Empty;
        }
        let frame = match &mut this.content {
            Content::Empty => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.content = Content::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Content::Served(body) => Pin::new(body).poll_frame(cx),
            Content::Early(body) => Pin::new(body).poll_frame(cx),
            Content::Messages(body) => Pin::new(body).poll_frame(cx),
        };
        if matches!(frame, Poll::Ready(None)) {
            this.ended = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Served(body) => body.is_end_stream(),
            Content::Early(_) | Content::Messages(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Served(body) => body.size_hint(),
            Content::Early(_) | Content::Messages(_) => SizeHint::new(),
        }
    }
}
