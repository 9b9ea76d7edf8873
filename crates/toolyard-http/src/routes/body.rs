//! The body of every response.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use toolyard_server::HttpBody;

use super::{guarded::Ended, sse::Messages};
use crate::early::Spliced;

/// A response's body and what ends with it.
pub(crate) struct Answer {
    content: Content,
    ended: Option<Ended>,
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
}

impl From<Content> for Answer {
    fn from(content: Content) -> Self {
        Self { content, ended: None }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
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
