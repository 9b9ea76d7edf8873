use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::HeaderValue;
use http_body::{Frame, SizeHint};
use http_body_util::Full;

use super::{super::budget::Budget, *};

/// A body that arrives in pieces.
#[derive(Default)]
struct Pieces {
    pieces: VecDeque<io::Result<Bytes>>,
    announced: Option<u64>,
    /// Whether the last piece is followed by silence.
    stalls: bool,
}

impl Pieces {
    fn of(pieces: &[&[u8]]) -> Self {
        Self { pieces: pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect(), ..Self::default() }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(piece.map(Frame::data))),
            None if self.stalls => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map(SizeHint::with_exact).unwrap_or_default()
    }
}

fn limits(max_body_bytes: usize) -> HttpLimits {
    HttpLimits { max_body_bytes, body_timeout: Duration::from_secs(30), ..HttpLimits::default() }
}

fn share() -> Share {
    Budget::new(0).share("a")
}

async fn read_all(body: Pieces, max: usize) -> Result<Bytes, BodyError> {
    read(&HeaderMap::new(), body, &limits(max), &mut share()).await
}

#[tokio::test]
async fn a_body_arrives_whole_however_it_is_cut() {
    let whole = Ok(Bytes::from_static(b"abcdef"));
    for pieces in [&[&b"abcdef"[..]][..], &[b"abc", b"def"], &[b"", b"ab", b"", b"cd", b"ef", b""], &[b"abcdef", b""]] {
        assert_eq!(read_all(Pieces::of(pieces), 6).await, whole, "{pieces:?}");
    }
    assert_eq!(read_all(Pieces::default(), 6).await, Ok(Bytes::new()));
}

#[tokio::test]
async fn rl1_a_body_over_the_limit_is_413_whatever_it_announces() {
    let large = Err(BodyError::TooLarge { limit: 5 });
    assert_eq!(read_all(Pieces::of(&[b"abcdef"]), 5).await, large);
    assert_eq!(read_all(Pieces::of(&[b"abc", b"def"]), 5).await, large);
    assert_eq!(read_all(Pieces { announced: Some(1), ..Pieces::of(&[b"abc", b"def"]) }, 5).await, large, "the announcement is a lie");
    let announced = Pieces { announced: Some(6), stalls: true, ..Pieces::default() };
    assert_eq!(read_all(announced, 5).await, large, "refused before anything arrives");
    assert_eq!(BodyError::TooLarge { limit: 5 }.status(), 413);
}

#[tokio::test]
async fn rl1_an_announcement_reserves_little() {
    let body = Pieces { announced: Some(1 << 40), ..Pieces::of(&[b"a", b"b"]) };
    let read = collect(body, usize::MAX, 1 << 40, &mut share()).await.expect("it fits");
    let grown = read.try_into_mut().expect("nobody else holds it");
    assert!(grown.capacity() <= MAX_TRUST, "{} bytes for two", grown.capacity());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_in_is_408() {
    let body = Pieces { stalls: true, ..Pieces::of(&[b"abc"]) };
    let began = tokio::time::Instant::now();
    assert_eq!(read_all(body, 5).await, Err(BodyError::TooSlow));
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(BodyError::TooSlow.status(), 408);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400() {
    let mut body = Pieces::of(&[b"abc"]);
    body.pieces.push_back(Err(io::Error::other("reset")));
    assert_eq!(read_all(body, 5).await, Err(BodyError::Broken));
    assert_eq!(BodyError::Broken.status(), 400);
}

#[tokio::test]
async fn rl6_a_compressed_body_is_415() {
    for (encodings, want) in [
        (&["gzip"][..], Err(BodyError::Encoded)),
        (&["identity", "br"], Err(BodyError::Encoded)),
        (&["identity, gzip"], Err(BodyError::Encoded)),
        (&[""], Err(BodyError::Encoded)),
        (&["identity"], Ok(Bytes::from_static(b"{}"))),
        (&["Identity "], Ok(Bytes::from_static(b"{}"))),
    ] {
        let headers = encodings.iter().map(|encoding| (header::CONTENT_ENCODING, HeaderValue::from_static(encoding)));
        let read = read(&headers.collect(), Full::new(Bytes::from_static(b"{}")), &limits(5), &mut share()).await;
        assert_eq!(read, want, "{encodings:?}");
    }
    assert_eq!(BodyError::Encoded.status(), 415);
}

#[test]
fn dr3_types_that_pages_may_send_unasked_are_415() {
    for (types, want) in [
        (&["application/json"][..], Ok(())),
        (&["Application/JSON; charset=utf-8"], Ok(())),
        (&["application/json ;x"], Ok(())),
        (&[], Err(BodyError::NotJson)),
        (&["text/plain"], Err(BodyError::NotJson)),
        (&["text/plain;application/json"], Err(BodyError::NotJson)),
        (&["application/x-www-form-urlencoded"], Err(BodyError::NotJson)),
        (&["multipart/form-data; boundary=application/json"], Err(BodyError::NotJson)),
        (&["application/json-patch+json"], Err(BodyError::NotJson)),
        (&["application/json, text/plain"], Err(BodyError::NotJson)),
        (&["application/json", "text/plain"], Err(BodyError::NotJson)),
    ] {
        let headers = types.iter().map(|value| (header::CONTENT_TYPE, HeaderValue::from_static(value))).collect();
        assert_eq!(expect_json(&headers), want, "{types:?}");
    }
    assert_eq!(BodyError::NotJson.status(), 415);
}

#[tokio::test]
async fn a_body_for_which_others_left_no_room_is_503() {
    let budget = Budget::new(0);
    let mut others = budget.share("a");
    assert_eq!(others.grow(64 << 20), Ok(()));
    let large = vec![b'x'; 200 << 10];
    let read_as = async |caller: &str, bytes: usize| {
        let body = Pieces::of(&[&large[..bytes / 2], &large[bytes / 2..bytes]]);
        read(&HeaderMap::new(), body, &limits(1 << 20), &mut budget.share(caller)).await.map(|body| body.len())
    };
    assert_eq!(read_as("a", 200 << 10).await, Err(BodyError::NoRoom));
    assert_eq!(read_as("a", 64 << 10).await, Ok(64 << 10), "little is free");
    assert_eq!(read_as("b", 200 << 10).await, Ok(200 << 10), "one caller does not take all");
    assert_eq!(BodyError::NoRoom.status(), 503);
}
