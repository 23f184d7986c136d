//! Closing Chromium in good order.
//!
//! On SIGTERM Chromium 156 ends within a tenth of a second and forgets the cookies of the last
//! 30 s, which it keeps in memory for so long. `Browser.close` writes them first.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What precedes the browser's address in `/json/version`.
const ADDRESS: &str = "\"webSocketDebuggerUrl\": \"ws://";
/// The command.
const CLOSE: &[u8] = br#"{"id":1,"method":"Browser.close"}"#;
/// More than any answer before the WebSocket has.
const LONGEST: usize = 16 * 1024;

/// Asks Chromium to close, and returns when it has ended; `None` when nobody could be asked.
///
/// # Cancel safety
/// Dropping the future does not take the request back.
pub(crate) async fn close(devtools: SocketAddr) -> Option<()> {
    let version = request(devtools, "/json/version", "connection: close\r\n");
    let address = read_until(&mut version.await?, |text| {
        let (_, rest) = text.split_once(ADDRESS)?;
        rest.split_once('"').map(|(address, _)| address.to_owned())
    })
    .await?;
    let (_, path) = address.split_once('/')?;
    let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let mut stream = request(devtools, &format!("/{path}"), upgrade).await?;
    read_until(&mut stream, |text| {
        (text.starts_with("HTTP/1.1 101 ") && text.contains("\r\n\r\n")).then(String::new)
    })
    .await?;
    stream.write_all(&frame(CLOSE)).await.ok()?;
    // Its answer is of no interest, the end of the connection is: the process is gone then.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    Some(())
}

/// A text frame of a client, RFC 6455 section 5.2; with a mask of zeros.
fn frame(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    debug_assert!(length < 126, "a longer frame has another head");
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(text);
    frame
}

async fn request(to: SocketAddr, path: &str, headers: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(to).await.ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    Some(stream)
}

/// Reads until something is found in what was read; `None` when it ends, or is too long.
async fn read_until(
    stream: &mut TcpStream,
    find: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let mut read = Vec::new();
    while read.len() < LONGEST {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
        if let Some(found) = find(&String::from_utf8_lossy(&read)) {
            return Some(found);
        }
    }
    None
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
    async fn nobody_to_ask_is_no_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(close(address).await, None);
    }

    #[tokio::test]
    async fn one_that_is_no_browser_is_left_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n{}")
                .await
                .unwrap();
        };
        let (closed, ()) = tokio::join!(close(address), answer);
        assert_eq!(closed, None);
    }
}
