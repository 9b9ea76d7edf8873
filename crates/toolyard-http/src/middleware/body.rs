//! Bodies of requests: their type, size and time.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt as _;

use super::budget::{Share, Spent};
use crate::HttpLimits;

/// What `Content-Length` may reserve; more is reserved as it arrives.
const MAX_TRUST: usize = 64 << 10;

/// Why a body is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Larger than this many bytes.
    TooLarge { limit: usize },
    /// Not complete in time.
    TooSlow,
    /// The connection failed, or the framing is wrong.
    Broken,
    /// Compressed; a small body could become a huge one.
    Encoded,
    /// Not JSON. Pages of other sites can send some other types without being asked first.
    NotJson,
    /// Other bodies hold all bytes there are for them.
    NoRoom,
}

impl From<Spent> for BodyError {
    fn from(_: Spent) -> Self {
        Self::NoRoom
    }
}

impl BodyError {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Encoded | Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word in audit and metrics.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "body_too_large",
            Self::TooSlow => "body_timeout",
            Self::Broken => "body_broken",
            Self::Encoded => "body_encoded",
            Self::NotJson => "content_type",
            Self::NoRoom => "busy",
        }
    }

    /// What the client is told.
    pub(crate) fn message(self) -> String {
        match self {
            Self::TooLarge { limit } => format!("the body is larger than {limit} bytes"),
            Self::TooSlow => "the body did not arrive in time".into(),
            Self::Broken => "the body is incomplete".into(),
            Self::Encoded => "send the body without Content-Encoding".into(),
            Self::NotJson => "Content-Type has to be application/json".into(),
            Self::NoRoom => "too many large bodies are under way, try again later".into(),
        }
    }
}

/// Whether the body says that it is JSON.
pub(crate) fn expect_json(headers: &HeaderMap) -> Result<(), BodyError> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next().map(|value| value.as_bytes()), types.next()) {
        (Some(value), None) => {
            let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            if essence.eq_ignore_ascii_case(b"application/json") { Ok(()) } else { Err(BodyError::NotJson) }
        }
        _ => Err(BodyError::NotJson),
    }
}

/// Reads a whole body within the limits and the share of it, which grows with what arrives. What comes after an error is not read; the connection
/// can't be used again then.
pub(crate) async fn read<B>(headers: &HeaderMap, body: B, limits: &HttpLimits, share: &mut Share) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    for encoding in headers.get_all(header::CONTENT_ENCODING) {
        if !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity") {
            return Err(BodyError::Encoded);
        }
    }
    let limit = limits.max_body_bytes;
    let least = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if least > limit {
        return Err(BodyError::TooLarge { limit });
    }
    tokio::time::timeout(limits.body_timeout, collect(body, limit, least, share)).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn collect<B>(mut body: B, limit: usize, least: usize, share: &mut Share) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(BodyError::Broken) };
        // Trailers say nothing we need.
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.len() + all.len();
        if data.len() > limit.saturating_sub(so_far) {
            return Err(BodyError::TooLarge { limit });
        }
        share.grow(so_far + data.len())?;
        if so_far == 0 {
            // Most bodies are one piece, and it need not be copied.
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(least.min(MAX_TRUST).max(first.len() + data.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

#[cfg(test)]
mod tests;
