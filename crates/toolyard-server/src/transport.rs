//! The SDK's transport over a pair of byte streams: our own reading, writing and envelope checks.

use std::{
    future::{Future, ready},
    io,
    sync::Arc,
};

use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::Transport,
};
use tokio::io::AsyncRead;
use tokio_util::sync::CancellationToken;

use crate::{
    from_mcp::{Incoming, Reader},
    lines::Lines,
    outbox::Outbox,
};

pub(crate) struct StreamTransport<R> {
    lines: Lines<R>,
    reader: Reader,
    outbox: Arc<Outbox>,
    input_ended: CancellationToken,
}

impl<R: AsyncRead + Unpin> StreamTransport<R> {
    pub(crate) fn new(input: R, outbox: Arc<Outbox>, input_ended: CancellationToken) -> Self {
        Self { lines: Lines::new(input), reader: Reader::default(), outbox, input_ended }
    }
}

impl<R: AsyncRead + Unpin + Send> Transport<RoleServer> for StreamTransport<R> {
    type Error = io::Error;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        // Queued at once, so messages leave in the order in which the SDK made them.
        ready(self.outbox.push(message))
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            self.outbox.room().await;
            match self.lines.next(|line| self.reader.read(line)).await {
                Ok(Some(Incoming::Message(message))) => return Some(*message),
                Ok(Some(Incoming::Refused(error))) => {
                    if self.outbox.push(ServerJsonRpcMessage::Error(error)).is_err() {
                        tracing::debug!("nobody takes answers any more");
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "the input can't be read any more");
                    break;
                }
            }
        }
        self.input_ended.cancel();
        None
    }

    fn close(&mut self) -> impl Future<Output = Result<(), io::Error>> + Send {
        ready(Ok(()))
    }
}
