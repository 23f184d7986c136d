//! Bounds the time between the first and the last byte of a request head.
//!
//! hyper's own timeout starts when it begins to wait for a head, so it cannot tell an
//! idle connection, which may stay, from a head that never ends, which may not. This
//! stream can: bytes that arrive while no request is being answered begin a head.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::in_flight::InFlight;

/// A stream whose reads fail when a request head takes too long.
#[derive(Debug)]
pub(crate) struct HeadDeadline<S> {
    stream: S,
    limit: Duration,
    in_flight: InFlight,
    head: Option<Head>,
}

/// A request head that has begun to arrive.
#[derive(Debug)]
struct Head {
    /// How many requests had begun before it; one more, and this head is whole.
    after: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> HeadDeadline<S> {
    /// `in_flight` tells whether the connection is between requests.
    pub(crate) fn new(stream: S, limit: Duration, in_flight: InFlight) -> Self {
        Self {
            stream,
            limit,
            in_flight,
            head: None,
        }
    }

    /// The stream, without a deadline.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadDeadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let begun = self.in_flight.begun();
        if self.head.as_ref().is_some_and(|head| head.after != begun) {
            self.head = None;
        }
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) else {
            let Some(head) = self.head.as_mut() else {
                return Poll::Pending;
            };
            ready!(head.deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        };
        let arrived = buf.filled().len() > before;
        if arrived && self.head.is_none() && self.in_flight.is_idle() {
            self.head = Some(Head {
                after: begun,
                deadline: Box::pin(sleep(self.limit)),
            });
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadDeadline<S> {
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
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_left_alone() {
        let (_client, server) = duplex(64);
        let mut server = HeadDeadline::new(server, LIMIT, InFlight::default());
        let read = tokio::time::timeout(LIMIT * 100, server.read_u8()).await;
        assert!(read.is_err(), "the read ended: {read:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_is_cut_off() {
        let (mut client, server) = duplex(64);
        let mut server = HeadDeadline::new(server, LIMIT, InFlight::default());
        let started = tokio::time::Instant::now();
        let error = loop {
            client.write_all(b"x").await.unwrap();
            let tick = tokio::time::timeout(Duration::from_secs(3), async {
                server.read_u8().await?;
                server.read_u8().await
            });
            if let Ok(Err(error)) = tick.await {
                break error;
            }
            assert!(started.elapsed() < LIMIT * 2, "never cut off");
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_being_answered_has_no_deadline() {
        let (mut client, server) = duplex(64);
        let in_flight = InFlight::default();
        let mut server = HeadDeadline::new(server, LIMIT, in_flight.clone());
        client.write_all(b"x").await.unwrap();
        server.read_u8().await.unwrap();
        let _held = in_flight.begin();
        let read = tokio::time::timeout(LIMIT * 100, server.read_u8()).await;
        assert!(read.is_err(), "the read ended: {read:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_answered_is_idle_again() {
        let (mut client, server) = duplex(64);
        let in_flight = InFlight::default();
        let mut server = HeadDeadline::new(server, LIMIT, in_flight.clone());
        client.write_all(b"x").await.unwrap();
        server.read_u8().await.unwrap();
        drop(in_flight.begin());
        let read = tokio::time::timeout(LIMIT * 100, server.read_u8()).await;
        assert!(read.is_err(), "the read ended: {read:?}");
    }
}
