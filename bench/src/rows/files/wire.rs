//! An HTTP connection that is kept, and the peers at its other end.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
};

use anyhow::{Context as _, ensure};
use browserd_e2e::process::{Launch, Process};

use crate::client::connect;

/// Bytes in one write or read.
const PIECE: usize = 1 << 20;

/// A connection that is kept.
#[derive(Debug)]
pub(super) struct Wire {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
    piece: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub(super) fn open(to: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            stream: BufReader::with_capacity(64 * 1024, connect(to)?),
            host: to,
            piece: vec![7; PIECE],
        })
    }

    /// Gets a body; returns how many bytes it had.
    pub(super) fn get(&mut self, path: &str) -> anyhow::Result<u64> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.answer()
    }

    /// Puts so many bytes, whatever they are.
    pub(super) fn put(&mut self, path: &str, bytes: usize) -> anyhow::Result<()> {
        let host = self.host;
        let head =
            format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {bytes}\r\n\r\n");
        self.stream.get_mut().write_all(head.as_bytes())?;
        let mut left = bytes;
        while left > 0 {
            let some = left.min(PIECE);
            self.stream.get_mut().write_all(&self.piece[..some])?;
            left -= some;
        }
        self.answer().map(drop)
    }

    /// Posts a form.
    pub(super) fn post(&mut self, path: &str, form: &[u8]) -> anyhow::Result<()> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\
             Content-Type: multipart/form-data; boundary=limit\r\n\r\n",
            self.host,
            form.len()
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.stream.get_mut().write_all(form)?;
        self.answer().map(drop)
    }

    /// Begins an event stream, which is then read line by line.
    pub(super) fn stream(&mut self, path: &str) -> anyhow::Result<()> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.head().map(drop)
    }

    /// The next line, whatever it belongs to.
    pub(super) fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the connection was ended");
        Ok(line.trim_end().to_owned())
    }

    fn answer(&mut self) -> anyhow::Result<u64> {
        if let Some(length) = self.head()? {
            self.skip(length)?;
            return Ok(length);
        }
        let mut total = 0;
        loop {
            let size = self.line()?;
            let size = u64::from_str_radix(&size, 16).with_context(|| format!("{size:?}"))?;
            self.skip(size)?;
            ensure!(self.line()?.is_empty(), "a chunk is longer than it says");
            total += size;
            if size == 0 {
                return Ok(total);
            }
        }
    }

    /// The length of the body; `None` when it comes in chunks.
    fn head(&mut self) -> anyhow::Result<Option<u64>> {
        let status = self.line()?;
        ensure!(status.starts_with("HTTP/1.1 20"), "{status}");
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok((!is_chunked).then_some(length));
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            is_chunked |= line.starts_with("transfer-encoding:");
        }
    }

    fn skip(&mut self, mut left: u64) -> anyhow::Result<()> {
        while left > 0 {
            let most = usize::try_from(left)?.min(PIECE);
            let read = self.stream.read(&mut self.piece[..most])?;
            ensure!(read > 0, "the connection was ended");
            left -= read as u64;
        }
        Ok(())
    }
}

/// An nginx that serves a folder by sendfile, and takes files into it by PUT.
pub(super) fn nginx(folder: &Path, port: u16) -> anyhow::Result<(Process, SocketAddr)> {
    let state = folder.join("nginx");
    fs::create_dir(&state)?;
    let configuration = format!(
        "worker_processes 1; pid nginx.pid; user root;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_max_body_size 0; client_body_temp_path {root}/body;
  proxy_temp_path proxy; fastcgi_temp_path fastcgi; scgi_temp_path scgi; uwsgi_temp_path uwsgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {root}; dav_methods PUT; create_full_put_path on; }}
  }}
}}
",
        root = folder.display()
    );
    fs::write(state.join("nginx.conf"), configuration)?;
    let process = Launch::new("/usr/sbin/nginx")
        .arg("-p")
        .arg(&state)
        .args(["-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"])
        .output(&state.join("output.log"))
        .spawn()?;
    let address = (Ipv4Addr::LOCALHOST, port).into();
    drop(connect(address)?);
    Ok((process, address))
}

/// Takes PUT after PUT over one connection into a file, and syncs each: a server without anything
/// around it. It ends with the connection.
pub(super) fn sink(into: &Path) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let into = into.to_owned();
    let serve = move || -> anyhow::Result<()> {
        let (stream, _) = listener.accept()?;
        let mut wire = Wire {
            stream: BufReader::with_capacity(64 * 1024, stream),
            host: address,
            piece: vec![0; PIECE],
        };
        loop {
            let request = wire.line()?;
            ensure!(request.starts_with("PUT "), "{request}");
            let mut left = 0;
            loop {
                let line = wire.line()?.to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    left = value.trim().parse()?;
                }
            }
            let mut file = File::create(&into)?;
            while left > 0 {
                let most = PIECE.min(left);
                let read = wire.stream.read(&mut wire.piece[..most])?;
                ensure!(read > 0, "the connection was ended");
                file.write_all(&wire.piece[..read])?;
                left -= read;
            }
            file.sync_all()?;
            let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
            wire.stream.get_mut().write_all(answer)?;
        }
    };
    // The end of the connection is its end.
    std::thread::spawn(move || drop(serve()));
    Ok(address)
}
