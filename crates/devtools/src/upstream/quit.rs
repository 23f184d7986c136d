//! Closing Chromium in good order.
//!
//! On SIGTERM Chromium 156 ends within a tenth of a second and forgets the cookies of the last
//! 30 s, which it keeps in memory for so long. `Browser.close` writes them first, and asks no
//! page whether it wants to stay.

use std::io;

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::prove::{ATTEMPT, Failure, browser_path};
use crate::Peer;
use crate::client::{self, OpenError, Opened};

/// The command.
const CLOSE: &[u8] = br#"{"id":1,"method":"Browser.close"}"#;
/// Sixteen bytes, of which nothing depends (RFC 6455, section 4.1).
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

/// Why a browser could not be asked to close.
#[derive(Debug, thiserror::Error)]
pub enum QuitError {
    /// What is there is not a browser.
    #[error("{0} does not answer as DevTools")]
    NotDevTools(Peer),
    /// It gave no answer.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// It takes no session.
    #[error("it answered the upgrade with {0}")]
    Rejected(StatusCode),
    /// It went away while it was asked.
    #[error("send the command")]
    Send(#[source] io::Error),
}

impl From<Failure> for QuitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Client(error) => Self::Client(error),
            Failure::NotDevTools(peer) => Self::NotDevTools(peer),
        }
    }
}

/// Asks the browser that listens there to close, and returns when it has ended. That may take
/// any time: the caller bounds it.
///
/// # Errors
///
/// Each [`QuitError`]; the browser is then left as it was.
///
/// # Cancel safety
///
/// Dropping the future does not take the request back.
pub async fn quit(peer: &Peer) -> Result<(), QuitError> {
    let path = browser_path(peer, ATTEMPT).await?;
    let Opened { mut stream, .. } = match client::open_websocket_at(peer, &path, KEY).await {
        Ok(opened) => opened,
        Err(OpenError::Rejected(reply)) => return Err(QuitError::Rejected(reply.status)),
        Err(OpenError::Failed(error)) => return Err(error.into()),
    };
    let sent = stream.write_all(&frame(CLOSE)).await;
    sent.map_err(QuitError::Send)?;
    end_of(&mut stream).await;
    Ok(())
}

/// The answer is of no interest, the end of the connection is: the browser is gone then.
async fn end_of(stream: &mut TcpStream) {
    let mut scrap = [0; 4096];
    while stream.read(&mut scrap).await.is_ok_and(|read| read > 0) {}
}

/// A text frame of a client, RFC 6455 section 5.2; with a mask of zeros.
fn frame(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    debug_assert!(length < 126, "a longer frame has another head");
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(text);
    frame
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn the_command_is_one_masked_frame() {
        let frame = frame(CLOSE);
        assert_eq!(frame[..6], [0x81, 0x80 | 0x21, 0, 0, 0, 0]);
        assert_eq!(&frame[6..], CLOSE);
    }

    #[tokio::test]
    async fn nobody_to_ask_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = quit(&Peer::new("127.0.0.1", port)).await.unwrap_err();
        let QuitError::Client(client::Error::Connect { .. }) = error else {
            panic!("{error:?}")
        };
    }

    #[tokio::test]
    async fn one_that_is_no_browser_is_left_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Peer::new("127.0.0.1", listener.local_addr().unwrap().port());
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer).await.unwrap();
            end_of(&mut stream).await;
        };
        let (asked, ()) = tokio::join!(quit(&peer), answer);
        assert!(matches!(asked, Err(QuitError::NotDevTools(_))), "{asked:?}");
    }
}
