//! A WebSocket client that does nothing but what is measured: blocking, one write and as many
//! reads as the answer takes, payloads masked with a key of zeros.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

/// How long anything may take before it counts as not running.
const LIMIT: Duration = Duration::from_secs(20);

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

/// Connects, retrying while nobody listens yet.
pub(crate) fn connect(to: SocketAddr) -> anyhow::Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect(to) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(LIMIT))?;
                stream.set_write_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(error) if start.elapsed() > LIMIT => {
                return Err(error).with_context(|| format!("nobody listens on {to}"));
            }
            Err(_) => std::thread::yield_now(),
        }
    }
}

impl Client {
    /// Connects and upgrades; `path` begins with a slash.
    pub(crate) fn open(to: SocketAddr, path: &str) -> anyhow::Result<Self> {
        Self::upgrade(connect(to)?, path)
    }

    /// A connection that nothing is spoken on but what is measured.
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Upgrades a connection.
    pub(crate) fn upgrade(mut stream: TcpStream, path: &str) -> anyhow::Result<Self> {
        let host = stream.peer_addr()?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let head = read_head(&mut stream)?;
        ensure!(
            head.starts_with("HTTP/1.1 101 "),
            "no upgrade at {host}{path}: {head}"
        );
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends bytes and reads exactly as many as the answer has, without looking at them.
    pub(crate) fn exchange(&mut self, request: &[u8], answer: &mut [u8]) -> anyhow::Result<()> {
        self.stream.write_all(request)?;
        self.stream.read_exact(answer)?;
        Ok(())
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(request)?)
    }

    /// Reads until there is a whole frame, and returns its payload; an unmasked one, of less
    /// than 64 KiB.
    pub(crate) fn receive(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some((start, end)) = small_frame(&self.received) {
                let frame: Vec<u8> = self.received.drain(..end).collect();
                return Ok(frame[start..].to_vec());
            }
            let n = self.stream.read(&mut piece)?;
            ensure!(n > 0, "the connection was ended");
            self.received.extend_from_slice(&piece[..n]);
        }
    }
}

/// Where the payload of a frame that is whole begins and ends.
fn small_frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, length) = match *bytes.get(1)? {
        0x7E => (
            4,
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= start + length).then_some((start, start + length))
}

/// Reads up to the end of a response's head, byte by byte so as to take nothing behind it.
fn read_head(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(
            stream.read(&mut byte)? == 1,
            "the connection was ended within the head"
        );
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A text frame as a client sends it.
pub(crate) fn text_frame(payload: &[u8]) -> Vec<u8> {
    frame(0x81, payload)
}

/// A binary frame as a client sends it.
pub(crate) fn binary_frame(payload: &[u8]) -> Vec<u8> {
    frame(0x82, payload)
}

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![opcode];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=0x7D), _) => frame.push(0x80 | short),
        (_, Ok(middle)) => {
            frame.push(0x80 | 0x7E);
            frame.extend(middle.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 0x7F);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Bytes of masking key that an echo does not have.
pub(crate) const KEY_LENGTH: usize = 4;
