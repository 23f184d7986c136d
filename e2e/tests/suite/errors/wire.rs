//! A connection on which the test writes and reads the bytes themselves.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use browserd_e2e::settings;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Longer than any timeout that a test sets.
const LIMIT: Duration = Duration::from_secs(15);

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) stream: TcpStream,
}

/// A handshake as RFC 6455 has it.
pub(super) fn handshake(to: SocketAddr) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A frame of a client, masked by zeros.
pub(super) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length),
        _ => {
            let length = u16::try_from(payload.len()).expect("a short payload in a test");
            frame.push(0x80 | 0x7e);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

impl Wire {
    /// Connects.
    pub(super) async fn connect(to: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(to).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Connects to the DevTools port at this address and opens a WebSocket.
    pub(super) async fn open(devtools: SocketAddr) -> anyhow::Result<Self> {
        let mut wire = Self::connect(devtools).await?;
        wire.write(handshake(devtools).as_bytes()).await?;
        let head = wire.head().await?;
        anyhow::ensure!(head.starts_with("HTTP/1.1 101"), "no upgrade: {head}");
        Ok(wire)
    }

    /// Reads an HTTP answer with its body; the connection may go on.
    pub(super) async fn answer(&mut self) -> anyhow::Result<String> {
        let mut answer = self.head().await?;
        let length = answer.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")?
                .trim()
                .parse()
                .ok()
        });
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream
            .read_exact(&mut body)
            .await
            .context("no whole body")?;
        answer.push_str(&String::from_utf8_lossy(&body));
        Ok(answer)
    }

    /// Reads an HTTP answer up to its body.
    async fn head(&mut self) -> anyhow::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(settings::patience(LIMIT), self.stream.read_u8());
            head.push(byte.await.context("no answer")??);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// Writes all of it.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let write = tokio::time::timeout(settings::patience(LIMIT), self.stream.write_all(bytes));
        Ok(write.await.context("not taken")??)
    }

    /// Reads until the other side has closed, which it must do soon.
    pub(super) async fn rest(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.stream.read_to_end(&mut bytes);
        let limit = settings::patience(LIMIT);
        match tokio::time::timeout(limit, read).await {
            // A reset is an end too; what came before it counts.
            Ok(_) => Ok(bytes),
            Err(_) => anyhow::bail!("still open after {limit:?}, having sent {bytes:?}"),
        }
    }

    /// See [`Wire::rest`].
    pub(super) async fn rest_as_text(&mut self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&self.rest().await?).into_owned())
    }
}
