//! A WebSocket echo server that costs next to nothing: no async, no unmasking beyond need, one
//! read and one write a small message. It passes for a Chromium as far as the daemon asks.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use anyhow::Context as _;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const CLOSE: u8 = 8;

/// Serves until killed, one thread a connection.
pub(crate) fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        // A connection that ends in an error is the other side's matter.
        thread::Builder::new().spawn(move || drop(connection(stream, listen)))?;
    }
    Ok(())
}

fn connection(mut stream: TcpStream, listen: SocketAddr) -> anyhow::Result<()> {
    let mut received = Vec::new();
    loop {
        let Some(head) = read_head(&mut stream, &mut received)? else {
            return Ok(());
        };
        if let Some(key) = header(&head, "sec-websocket-key") {
            let accept = derive_accept_key(key.as_bytes());
            write!(
                stream,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            )?;
            return echo(stream, received);
        }
        let body = format!(
            r#"{{"Browser":"Echo/1","Protocol-Version":"1.3","webSocketDebuggerUrl":"ws://{listen}/devtools/browser/echo"}}"#
        );
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )?;
    }
}

/// Takes one request head off the stream; `None` at its end.
fn read_head(stream: &mut TcpStream, received: &mut Vec<u8>) -> anyhow::Result<Option<String>> {
    const END: &[u8] = b"\r\n\r\n";
    let mut piece = [0; 4096];
    loop {
        if let Some(at) = received.windows(END.len()).position(|window| window == END) {
            let head = received.drain(..at + END.len()).collect();
            return Ok(Some(String::from_utf8(head)?));
        }
        let n = stream.read(&mut piece)?;
        if n == 0 {
            return Ok(None);
        }
        received.extend_from_slice(&piece[..n]);
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Sends each message back once it is in whole, as Chromium answers: never both ways at once.
fn echo(mut stream: TcpStream, received: Vec<u8>) -> anyhow::Result<()> {
    let mut buffer = received;
    let mut have = buffer.len();
    buffer.resize(256 * 1024, 0);
    loop {
        while let Some((header, key, whole)) = frame(&buffer[..have]) {
            if whole > buffer.len() {
                buffer.resize(whole, 0);
            }
            if have < whole {
                break;
            }
            let is_close = buffer[0] & 0xF == CLOSE;
            let start = unmask(&mut buffer[..whole], header, key);
            stream.write_all(&buffer[start..whole])?;
            if is_close {
                return Ok(());
            }
            buffer.copy_within(whole..have, 0);
            have -= whole;
        }
        let n = stream.read(&mut buffer[have..])?;
        if n == 0 {
            return Ok(());
        }
        have += n;
    }
}

/// The lengths of a frame's header, of its masking key, and of all of it.
fn frame(bytes: &[u8]) -> Option<(usize, usize, usize)> {
    let second = *bytes.get(1)?;
    let key = if second & 0x80 == 0 { 0 } else { 4 };
    let (header, payload) = match second & 0x7F {
        0x7E => (
            4,
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        0x7F => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    Some((header, key, header + key + usize::try_from(payload).ok()?))
}

/// Makes a server's frame of a client's, in place; returns where it begins.
fn unmask(frame: &mut [u8], header: usize, key_length: usize) -> usize {
    if key_length == 0 {
        return 0;
    }
    let key: [u8; 4] = [
        frame[header],
        frame[header + 1],
        frame[header + 2],
        frame[header + 3],
    ];
    if key != [0; 4] {
        for (byte, key) in frame[header + 4..].iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
    }
    frame.copy_within(..header, key_length);
    frame[key_length + 1] &= 0x7F;
    key_length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_frame_becomes_a_plain_one() {
        let mut masked = vec![0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
        let (header, key, whole) = frame(&masked).unwrap();
        assert_eq!((header, key, whole), (2, 4, 8));
        let start = unmask(&mut masked, header, key);
        assert_eq!(masked[start..], [0x81, 2, b'h', b'i']);
    }
}
