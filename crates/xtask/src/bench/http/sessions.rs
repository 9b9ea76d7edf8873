//! Sessions of older hosts that are open and do nothing.

use std::{future::Future, pin::Pin};

use anyhow::{Context as _, Result, ensure};

use super::{
    load::begin_session,
    wire::{Connection, Target, initialized},
};

/// Opens so many sessions and gives the connections that keep them open.
pub(super) type Open = for<'a> fn(&'a Target, usize) -> Pin<Box<dyn Future<Output = Result<Vec<Connection>>> + 'a>>;

/// Streamable HTTP: a handshake, then a stream to listen.
pub(super) fn streamable(target: &Target, count: usize) -> Pin<Box<dyn Future<Output = Result<Vec<Connection>>> + '_>> {
    Box::pin(async move {
        let mut posts = Connection::open(target.address).await?;
        let mut held = Vec::with_capacity(count);
        for nth in 0..count {
            let session = begin_session(&mut posts, target).await.with_context(|| format!("session {nth}"))?;
            let mut stream = Connection::open(target.address).await?;
            stream
                .send(&target.request("GET /mcp", &[("MCP-Protocol-Version", target.revision), ("Mcp-Session-Id", &session)], b""))
                .await?;
            stream.open_stream().await.with_context(|| format!("stream {nth}"))?;
            held.push(stream);
        }
        Ok(held)
    })
}

/// HTTP+SSE of 2024-11-05: the stream comes first.
pub(super) fn sse(target: &Target, count: usize) -> Pin<Box<dyn Future<Output = Result<Vec<Connection>>> + '_>> {
    Box::pin(async move {
        let mut posts = Connection::open(target.address).await?;
        let mut held = Vec::with_capacity(count);
        for nth in 0..count {
            let (stream, _) = begin_sse(&mut posts, target).await.with_context(|| format!("session {nth}"))?;
            held.push(stream);
        }
        Ok(held)
    })
}

/// Opens a stream and makes the handshake; gives the stream and where messages are posted.
pub(super) async fn begin_sse(posts: &mut Connection, target: &Target) -> Result<(Connection, String)> {
    let mut stream = Connection::open(target.address).await?;
    stream.send(&target.request("GET /sse", &[], b"")).await?;
    stream.open_stream().await?;
    let event = stream.until(b"data:").await?;
    let endpoint = event.rsplit_once("data:").map(|(_, place)| place.trim()).context("no endpoint")?.to_owned();
    post(posts, target, &endpoint, &target.initialize().to_string()).await?;
    stream.until(b"\"protocolVersion\"").await?;
    post(posts, target, &endpoint, &initialized().to_string()).await?;
    Ok((stream, endpoint))
}

/// Posts a message, whose answer comes on the stream.
pub(super) async fn post(posts: &mut Connection, target: &Target, endpoint: &str, message: &str) -> Result<()> {
    let answer = posts.exchange(&target.request(&format!("POST {endpoint}"), &[], message.as_bytes())).await?;
    ensure!(answer.status == 202, "status {}: {}", answer.status, String::from_utf8_lossy(answer.body));
    Ok(())
}
