//! An HTTP client that does nothing but what is measured: blocking, over one connection that is
//! kept.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::client::connect;

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Http {
    /// Connects, retrying while nobody listens yet.
    pub(crate) fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let stream = BufReader::with_capacity(256 * 1024, connect(to)?);
        Ok(Self { stream, host: to })
    }

    /// A POST of JSON, written out.
    pub(crate) fn post(&self, path: &str, body: &Value) -> String {
        self.request("POST", path, body)
    }

    /// A request with a body of JSON, written out.
    pub(crate) fn request(&self, method: &str, path: &str, body: &Value) -> String {
        let (host, body) = (self.host, body.to_string());
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Sends a request that is written out, and reads the body of its answer, which must be 200.
    pub(crate) fn exchange(&mut self, request: &str) -> anyhow::Result<Vec<u8>> {
        self.stream.get_mut().write_all(request.as_bytes())?;
        let length = self.head()?.context("an answer without a length")?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    /// Spawns a process; returns its id.
    pub(crate) fn spawn(&mut self, request: &Value) -> anyhow::Result<String> {
        let request = self.post("/process/spawn", request);
        let answer: Value = serde_json::from_slice(&self.exchange(&request)?)?;
        let id = answer["process_id"].as_str();
        id.map(str::to_owned).context("no process_id")
    }

    /// Reads a stream to its end; returns how many bytes of text it had.
    pub(crate) fn drain(&mut self, path: &str) -> anyhow::Result<u64> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(request.as_bytes())?;
        ensure!(self.head()?.is_none(), "a stream with a length");
        let mut total = 0;
        loop {
            let size = self.line()?;
            let size = u64::from_str_radix(&size, 16).with_context(|| format!("{size:?}"))?;
            let mut left = size;
            while left > 0 {
                let available = self.stream.fill_buf()?.len();
                ensure!(available > 0, "the connection was ended");
                let taken = available.min(usize::try_from(left)?);
                self.stream.consume(taken);
                left -= taken as u64;
            }
            ensure!(self.line()?.is_empty(), "a chunk is longer than it says");
            total += size;
            if size == 0 {
                return Ok(total);
            }
        }
    }

    /// Reads a head; returns the length of the body, if it has one.
    fn head(&mut self) -> anyhow::Result<Option<usize>> {
        let status = self.line()?;
        ensure!(status.starts_with("HTTP/1.1 200 "), "{status}");
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok(length);
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            }
        }
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the connection was ended");
        Ok(line.trim_end().to_owned())
    }
}
