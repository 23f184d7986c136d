//! Closing a connection without losing the answer.
//!
//! A socket that is closed with bytes unread resets the connection, and the reset overtakes the
//! answer: a client that is still sending its body sees a broken pipe instead of the 413 that
//! says why. So the daemon says that it is done, and reads on until the client has closed too,
//! as other servers do (`lingering_close` of nginx, whose times these are).

use std::{
    future::poll_fn,
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

/// The shutdown of a stream, which ends when the client has closed its side too.
#[derive(Debug)]
pub(crate) struct Linger {
    stop: CancellationToken,
    closing: Option<Closing>,
}

/// A client that has been told.
#[derive(Debug)]
struct Closing {
    end: Instant,
    patience: Pin<Box<Sleep>>,
}

impl Linger {
    /// Once `stop` is cancelled no client is waited for.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            stop,
            closing: None,
        }
    }

    /// Shuts the stream down; to be polled with the same one until it is ready.
    pub(crate) fn poll_shutdown(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        if self.stop.is_cancelled() {
            return Poll::Ready(Ok(()));
        }
        let closing = self.closing.get_or_insert_with(Closing::begin);
        closing.poll(stream, cx).map(Ok)
    }

    /// The same to its end.
    pub(crate) async fn shutdown(
        mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> io::Result<()> {
        poll_fn(|cx| self.poll_shutdown(stream, cx)).await
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
    fn poll(&mut self, stream: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<()> {
        let mut discarded = [0; DISCARDED];
        let mut buf = ReadBuf::new(&mut discarded);
        while let Poll::Ready(read) = Pin::new(&mut *stream).poll_read(cx, &mut buf) {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    struct Server(DuplexStream, Linger);

    fn pair(stop: &CancellationToken) -> (Server, DuplexStream) {
        let (server, client) = duplex(64);
        (Server(server, Linger::new(stop.clone())), client)
    }

    async fn closes(Server(mut stream, linger): Server) -> Duration {
        let started = Instant::now();
        linger.shutdown(&mut stream).await.unwrap();
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
