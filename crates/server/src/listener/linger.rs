//! Closing a connection without losing the answer.
//!
//! A socket that is closed with bytes unread resets the connection, and the reset overtakes the
//! answer: a client that is still sending its body sees a broken pipe instead of the 413 that
//! says why. So the daemon says that it is done, and reads on until the client has closed too,
//! as other servers do (`lingering_close` of nginx, whose times these are).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

/// How long a client may send nothing before it is left.
const QUIET: Duration = Duration::from_secs(5);
/// How long it may go on sending.
const LONGEST: Duration = Duration::from_secs(30);
/// Bytes thrown away at a time.
const DISCARDED: usize = 16 * 1024;

/// A stream whose shutdown ends when the client has closed its side too.
#[derive(Debug)]
pub(crate) struct Linger<S> {
    stream: S,
    stop: CancellationToken,
    closing: Option<Closing>,
}

/// A client that has been told.
#[derive(Debug)]
struct Closing {
    end: Instant,
    patience: Pin<Box<Sleep>>,
}

impl<S> Linger<S> {
    /// Once `stop` is cancelled no client is waited for.
    pub(crate) fn new(stream: S, stop: CancellationToken) -> Self {
        Self {
            stream,
            stop,
            closing: None,
        }
    }

    /// The stream itself.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl Closing {
    fn begin() -> Self {
        Self {
            end: Instant::now() + LONGEST,
            patience: Box::pin(sleep(QUIET)),
        }
    }

    /// Reads until the client has closed, or has had its time.
    fn poll(&mut self, stream: impl AsyncRead + Unpin, cx: &mut Context<'_>) -> Poll<()> {
        let mut stream = stream;
        let mut discarded = [0; DISCARDED];
        let mut buf = ReadBuf::new(&mut discarded);
        while let Poll::Ready(read) = Pin::new(&mut stream).poll_read(cx, &mut buf) {
            // An error is an end too: there is nobody left to wait for.
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(());
            }
            buf.clear();
            let quiet = Instant::now() + QUIET;
            self.patience.as_mut().reset(quiet.min(self.end));
        }
        self.patience.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
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
        let Self {
            stream,
            stop,
            closing,
        } = &mut *self;
        if closing.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        if stop.is_cancelled() {
            return Poll::Ready(Ok(()));
        }
        closing
            .get_or_insert_with(Closing::begin)
            .poll(stream, cx)
            .map(Ok)
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn pair(stop: &CancellationToken) -> (Linger<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(64);
        (Linger::new(server, stop.clone()), client)
    }

    async fn closes(mut server: Linger<DuplexStream>) -> Duration {
        let started = Instant::now();
        server.shutdown().await.unwrap();
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_closed_is_not_waited_for() {
        let (server, client) = pair(&CancellationToken::new());
        drop(client);
        assert_eq!(closes(server).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_client_still_sends_is_read() {
        let (server, mut client) = pair(&CancellationToken::new());
        let sending = async {
            // Far more than fits between the two.
            client.write_all(&[0; 10_000]).await.unwrap();
            let mut left = Vec::new();
            client.read_to_end(&mut left).await.unwrap();
            drop(client);
        };
        let (closed, ()) = tokio::join!(closes(server), sending);
        assert_eq!(closed, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_nothing_is_left() {
        let (server, _client) = pair(&CancellationToken::new());
        assert_eq!(closes(server).await.as_secs(), QUIET.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_for_ever_is_left_too() {
        let (server, mut client) = pair(&CancellationToken::new());
        let sending = async {
            while client.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        };
        let (closed, ()) = tokio::join!(closes(server), sending);
        assert_eq!(closed.as_secs(), LONGEST.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_at_the_end() {
        let stop = CancellationToken::new();
        stop.cancel();
        let (server, _client) = pair(&stop);
        assert_eq!(closes(server).await, Duration::ZERO);
    }
}
