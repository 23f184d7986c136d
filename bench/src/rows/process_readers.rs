//! How late a line is at the last of 500 readers of one process, one of which never reads.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use browserd_e2e::ports::Block;
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{Bench, daemon::Daemon, http::Http, row::Row};

/// Readers, the stalled one included.
const READERS: usize = 500;
/// What is written before the others begin: more than a connection holds for the stalled one.
const BEFORE: usize = 16 << 20;
/// How long anything may take before it counts as not running.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let settings = [("MAX_STREAMS", READERS.to_string())];
    let daemon = Daemon::start_with(bench, Block::claim()?, None, &settings)?;
    let api = daemon.api();
    let mut http = Http::open(api)?;
    let script = format!("head -c {BEFORE} /dev/zero; exec cat");
    let id = http.spawn(&json!({ "command": "sh", "args": ["-c", script] }))?;
    let path = format!("/process/{id}/stdout/stream");
    let line = http.post(
        &format!("/process/{id}/stdin"),
        &json!({ "data_b64": "b25lIGxpbmUK" }),
    );
    let lags = bench.runtime.block_on(async {
        let _stalled = open(api, &path, "").await?;
        let behind = format!("Last-Event-ID: {BEFORE}.0\r\n");
        written(api, &path).await?;
        let all = (1..READERS).map(|_| open(api, &path, &behind));
        let mut readers = try_join_all(all).await?;
        let mut lags = Vec::new();
        for _ in 0..bench.rounds(100, 5) {
            lags.extend(round(&mut readers, &mut http, &line).await?);
        }
        anyhow::Ok(lags)
    });
    let mut lags = lags?;
    lags.sort_by(f64::total_cmp);
    let p99 = lags.get(lags.len() * 99 / 100).context("no line came")?;
    let p50 = lags[lags.len() / 2];
    Ok(Row::absolute("ms", *p99, 50.0).note(format!("p99, p50 {p50:.2}")))
}

/// Writes a line, and measures when each reader has it, in milliseconds.
async fn round(readers: &mut [TcpStream], http: &mut Http, line: &str) -> anyhow::Result<Vec<f64>> {
    let start = Instant::now();
    http.exchange(line)?;
    let all = readers.iter_mut().map(async |reader| {
        event(reader).await?;
        anyhow::Ok(start.elapsed().as_secs_f64() * 1e3)
    });
    try_join_all(all).await
}

/// Reads to the end of an event.
async fn event(reader: &mut TcpStream) -> anyhow::Result<()> {
    let mut buffer = Vec::with_capacity(1024);
    while !buffer.ends_with(b"\n\n\r\n") {
        let read = timeout(LIMIT, reader.read_buf(&mut buffer)).await??;
        ensure!(read > 0, "the stream has ended");
    }
    Ok(())
}

/// Opens a stream, and reads the head of the answer.
async fn open(api: SocketAddr, path: &str, header: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(api).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {api}\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LIMIT, stream.read_u8()).await??);
    }
    ensure!(head.starts_with(b"HTTP/1.1 200 "), "no stream");
    Ok(stream)
}

/// Waits until what comes before the lines is written.
async fn written(api: SocketAddr, path: &str) -> anyhow::Result<()> {
    let mut stream = open(api, path, "").await?;
    let (mut tail, end) = (Vec::new(), format!("\nid: {BEFORE}.0\n\n\r\n"));
    while !tail.ends_with(end.as_bytes()) {
        let keep = tail.len().saturating_sub(64);
        tail.drain(..keep);
        tail.reserve(64 * 1024);
        let read = timeout(LIMIT, stream.read_buf(&mut tail)).await??;
        ensure!(read > 0, "the stream has ended");
    }
    Ok(())
}
