//! The end of a session: the close frame that the client is told, and the time to read it.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::pool::Buffer;
use super::{EndedBy, Outcome, Session, Verdict};
use crate::Close;
use crate::frame::close_frame;

/// How long the owner may take to find out why Chromium's connection ended.
const ASK_WAIT: Duration = Duration::from_secs(3);
/// How long a client is given to take a close frame and to end its side.
const LINGER: Duration = Duration::from_secs(1);

impl<C, U> Session<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    /// Carries a verdict out.
    pub(super) async fn finish<F, Fut>(
        mut self,
        verdict: Verdict,
        stop: &CancellationToken,
        on_upstream_eof: F,
    ) -> Outcome<C, U>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Close>,
    {
        let passed = self
            .down
            .follower
            .close_code()
            .or_else(|| self.up.follower.close_code());
        match verdict {
            Verdict::Gone(by) => self.outcome(by, passed, false),
            Verdict::Abort(by) => self.outcome(by, passed, true),
            Verdict::Finish(by) => {
                // The close frame has been taken already; what fails now fails nobody.
                let _ = timeout(LINGER, self.linger()).await;
                self.outcome(by, passed, false)
            }
            Verdict::Tell(by, code, reason) => self.tell(by, code, reason).await,
            Verdict::Ask => {
                let (by, close) = tokio::select! {
                    biased;
                    () = stop.cancelled() => (EndedBy::Stopped, Close::GOING_AWAY),
                    answer = timeout(ASK_WAIT, on_upstream_eof()) => {
                        let close = answer.unwrap_or(Close::UPSTREAM_LOST);
                        (EndedBy::UpstreamGone(close), close)
                    }
                    _ = read_to_end(&mut self.client) => {
                        return self.outcome(EndedBy::ClientGone, passed, false);
                    }
                };
                self.tell(by, Some(close.code), close.reason).await
            }
        }
    }

    /// Sends a close frame. A client that does not take it is reset.
    async fn tell(mut self, by: EndedBy, code: Option<u16>, reason: &str) -> Outcome<C, U> {
        let frame = close_frame(code, reason);
        let mut told = false;
        let _ = timeout(LINGER, async {
            self.client.write_all(&frame).await?;
            self.client.flush().await?;
            told = true;
            self.linger().await
        })
        .await;
        self.outcome(by, code, !told)
    }

    /// Ends our side and reads the client's to its end: closing with unread bytes would reset
    /// the connection, and the client could lose the close frame.
    async fn linger(&mut self) -> io::Result<()> {
        self.client.shutdown().await?;
        read_to_end(&mut self.client).await
    }

    fn outcome(self, ended_by: EndedBy, close_code: Option<u16>, abort: bool) -> Outcome<C, U> {
        Outcome {
            ended_by,
            close_code,
            to_upstream_bytes: self.up.bytes,
            to_client_bytes: self.down.bytes,
            abort,
            client: self.client,
            upstream: self.upstream,
        }
    }
}

/// Reads a stream to its end and drops what comes.
async fn read_to_end<R>(stream: &mut R) -> io::Result<()>
where
    R: AsyncRead + Unpin,
{
    let mut scratch = Buffer::take();
    while stream.read(scratch.bytes_mut()).await? > 0 {}
    Ok(())
}
