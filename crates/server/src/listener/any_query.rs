//! Request targets as clients of DevTools write them.
//!
//! `PUT /json/new?data:text/html,<b>"x"</b>#y`: Chromium takes any byte in the query of a target,
//! and percent-decodes it. hyper's parser refuses `<` and `"`, and cuts off what is behind `#`. So
//! a stream in front of it percent-encodes such bytes, in the query alone.
//!
//! To know where a request line begins it follows heads. Behind a head that announces a body or
//! an upgrade it follows nothing any more: whatever comes then is passed on as it is, so that no
//! byte of a body is ever taken for a request line.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at a time while heads are followed.
const CHUNK: usize = 2048;
/// Bytes kept of a header line: enough to know those that matter.
const KEPT: usize = 32;
/// What begins a header line behind which heads are not followed.
const ENDS_FOLLOWING: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"upgrade"];

/// A stream whose requests may have any visible byte in their query.
#[derive(Debug)]
pub(crate) struct AnyQuery<S> {
    stream: S,
    follower: Option<Follower>,
    /// What was followed and is still to be read.
    followed: BytesMut,
}

impl<S> AnyQuery<S> {
    /// Encodes what the parser behind would not take.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            follower: Some(Follower::default()),
            followed: BytesMut::new(),
        }
    }

    /// Passes everything on as it is.
    pub(crate) fn verbatim(stream: S) -> Self {
        Self {
            stream,
            follower: None,
            followed: BytesMut::new(),
        }
    }

    /// The stream, and what was read from it but by nobody yet.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.followed.freeze())
    }
}

/// Where in a head the next byte is.
#[derive(Debug, Default)]
enum At {
    #[default]
    Method,
    Path,
    Query,
    Version,
    Header(Line),
}

/// The beginning of a header line.
#[derive(Debug, Default)]
struct Line {
    kept: [u8; KEPT],
    /// Its length, also beyond what is kept.
    length: usize,
}

#[derive(Debug, Default)]
struct Follower {
    at: At,
    /// Whether a header of this head has told that something else than a head may follow it.
    last: bool,
    /// Whether there is nothing more to follow.
    done: bool,
}

impl Follower {
    /// Appends the bytes to `out`, encoded where they must be. How many it has followed: fewer
    /// than there are when there is nothing more to follow.
    fn follow(&mut self, bytes: &[u8], out: &mut BytesMut) -> usize {
        for (at, &byte) in bytes.iter().enumerate() {
            match self.at {
                At::Query if is_refused(byte) => encode(byte, out),
                _ => out.extend_from_slice(&[byte]),
            }
            self.step(byte);
            if self.done {
                return at + 1;
            }
        }
        bytes.len()
    }

    fn step(&mut self, byte: u8) {
        match (&mut self.at, byte) {
            // Empty lines before a request are allowed.
            (At::Method, b' ') => self.at = At::Path,
            (At::Path, b'?') => self.at = At::Query,
            (At::Path | At::Query, b' ') => self.at = At::Version,
            // No request line ends there: the parser refuses it, and the connection with it.
            (At::Path | At::Query, b'\n') => self.done = true,
            (At::Version, b'\n') => self.at = At::Header(Line::default()),
            (At::Header(line), b'\n') if line.is_empty() => {
                self.at = At::Method;
                self.done = self.last;
            }
            (At::Header(line), b'\n') => {
                self.last |= line.ends_following();
                self.at = At::Header(Line::default());
            }
            (At::Header(line), byte) => line.push(byte),
            _ => {}
        }
    }
}

impl Line {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.kept.get_mut(self.length) {
            *place = byte.to_ascii_lowercase();
        }
        self.length += 1;
    }

    fn text(&self) -> &[u8] {
        self.kept[..self.length.min(KEPT)].trim_ascii_end()
    }

    fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    fn ends_following(&self) -> bool {
        let no_body = self.length <= KEPT
            && self
                .text()
                .strip_prefix(b"content-length:")
                .is_some_and(|length| length.trim_ascii() == b"0");
        !no_body
            && ENDS_FOLLOWING
                .iter()
                .any(|name| self.text().starts_with(name))
    }
}

/// Whether `http::Uri` does not take this byte in a query as it is. What is not ASCII it takes
/// only in whole characters; encoded, any.
fn is_refused(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'#' | 0x80..)
}

fn encode(byte: u8, out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| DIGITS[usize::from(half & 0xF)];
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
}

impl<S: AsyncRead + Unpin> AsyncRead for AnyQuery<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.followed.is_empty() {
            let Some(follower) = &mut this.follower else {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            };
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut chunk))?;
            let bytes = chunk.filled();
            let taken = follower.follow(bytes, &mut this.followed);
            if follower.done {
                this.followed.extend_from_slice(&bytes[taken..]);
                this.follower = None;
            }
        }
        let length = this.followed.len().min(buf.remaining());
        buf.put_slice(&this.followed[..length]);
        this.followed.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AnyQuery<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// What the parser gets of these bytes, which arrive in pieces and are read in pieces.
    fn passed_on(sent: &[u8], arrive: usize, read: usize) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut stream = AnyQuery::new(Pieces {
                left: sent,
                at_a_time: arrive,
            });
            let (mut got, mut piece) = (Vec::new(), vec![0; read]);
            loop {
                match stream.read(&mut piece).await.unwrap() {
                    0 => return got,
                    length => got.extend_from_slice(&piece[..length]),
                }
            }
        })
    }

    /// A reader that gives its bytes so many at a time.
    struct Pieces<'a> {
        left: &'a [u8],
        at_a_time: usize,
    }

    impl AsyncRead for Pieces<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let length = self.at_a_time.min(self.left.len()).min(buf.remaining());
            let (now, later) = self.left.split_at(length);
            buf.put_slice(now);
            self.left = later;
            Poll::Ready(Ok(()))
        }
    }

    #[track_caller]
    fn becomes(sent: &str, expected: &str) {
        for (arrive, read) in [(1, 1), (7, 3), (4096, 4096)] {
            let got = passed_on(sent.as_bytes(), arrive, read);
            assert_eq!(String::from_utf8_lossy(&got), expected);
        }
    }

    #[test]
    fn what_the_parser_refuses_is_encoded_in_the_query_alone() {
        becomes(
            "PUT /json/new?data:text/html,<b>\"%25\"</b>#ä HTTP/1.1\r\nhost: \"<#>\"\r\n\r\n",
            "PUT /json/new?data:text/html,%3Cb%3E%22%25%22%3C/b%3E%23%C3%A4 HTTP/1.1\r\nhost: \"<#>\"\r\n\r\n",
        );
        let path = "GET /a<b#?c HTTP/1.1\r\n\r\n";
        becomes(path, path);
    }

    #[test]
    fn each_head_on_a_connection_is_followed() {
        becomes(
            "\r\nGET /?< HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /?> HTTP/1.1\n\nGET /?< HTTP/1.1\r\n",
            "\r\nGET /?%3C HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /?%3E HTTP/1.1\n\nGET /?%3C HTTP/1.1\r\n",
        );
    }

    #[test]
    fn nothing_is_changed_behind_a_body_or_an_upgrade() {
        for header in [
            "Content-Length: 9",
            "CONTENT-LENGTH:0, 9",
            "content-length : 0",
            "content-length: 0000000000000000000000000000000000009",
            "Transfer-Encoding: chunked",
            "Upgrade: websocket",
        ] {
            let sent = format!("PUT /json/new HTTP/1.1\r\n{header}\r\n\r\nGET /?< HTTP/1.1\r\n");
            becomes(&sent, &sent);
        }
    }

    #[test]
    fn a_listener_without_it_changes_nothing() {
        let sent = b"GET /?< HTTP/1.1\r\n\r\n";
        let mut stream = AnyQuery::verbatim(Pieces {
            left: sent,
            at_a_time: 4,
        });
        let mut got = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime
            .block_on(stream.read_to_end(&mut got))
            .expect("it is a slice");
        assert_eq!(got, sent);
    }

    #[test]
    fn what_nobody_has_read_goes_with_the_stream() {
        let sent = b"GET / HTTP/1.1\r\nupgrade: websocket\r\n\r\n\x81\x00";
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut stream = AnyQuery::new(Pieces {
            left: sent,
            at_a_time: 4096,
        });
        let mut head = vec![0; sent.len() - 2];
        runtime.block_on(stream.read_exact(&mut head)).unwrap();
        let (_, read_ahead) = stream.into_parts();
        assert_eq!(read_ahead.as_ref(), b"\x81\x00");
    }

    proptest! {
        #[test]
        fn any_query_is_taken_and_means_the_same(
            query in prop::collection::vec(0x21_u8..=0xFF, 0..64)
                .prop_map(|mut query| { query.retain(|byte| *byte != 0x7F); query }),
            arrive in 1_usize..80,
            read in 1_usize..80,
        ) {
            let sent = [b"PUT /json/new?", &query[..], b" HTTP/1.1\r\n\r\n"].concat();
            let got = passed_on(&sent, arrive, read);
            let target = got.strip_prefix(b"PUT ").unwrap().strip_suffix(b" HTTP/1.1\r\n\r\n").unwrap();
            let uri: http::Uri = std::str::from_utf8(target).unwrap().parse().unwrap();
            let decoded = |text: &[u8]| percent_encoding::percent_decode(text).collect::<Vec<_>>();
            prop_assert_eq!(decoded(uri.query().unwrap().as_bytes()), decoded(&query));
        }

        #[test]
        fn only_a_query_is_ever_changed(sent in prop::collection::vec(any::<u8>(), 0..200)) {
            let body = [b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n", &sent[..]].concat();
            prop_assert_eq!(passed_on(&body, 50, 50), body);
        }
    }
}
