//! From the daemon's start to the first 200 of `/healthz`.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use browserd_e2e::ports::Block;
use tempfile::TempDir;

use crate::{Bench, daemon::variables, row::Row, stats::median};

/// How long the daemon may take before it counts as not starting.
const LIMIT: Duration = Duration::from_secs(10);
/// The time between two looks, which the figure may be late by.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let block = Block::claim()?;
    let folder = TempDir::with_prefix("browserd-bench-").context("no temporary directory")?;
    let mut samples = Vec::new();
    for _ in 0..bench.rounds(21, 3) {
        samples.push(start(bench, &block, &folder)?);
    }
    let worst = samples.iter().copied().fold(0.0, f64::max);
    Ok(Row::absolute("ms", median(&samples), 50.0).note(format!("worst {worst:.1}")))
}

/// Milliseconds of one start.
fn start(bench: &Bench, block: &Block, folder: &TempDir) -> anyhow::Result<f64> {
    let mut command = Command::new(&bench.browserd);
    command
        .arg("serve")
        .env_clear()
        .envs(variables(block, folder.path()));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut daemon = Ended(command.spawn().context("cannot start browserd")?);
    while !is_healthy(block.port(0)) {
        ensure!(
            start.elapsed() < LIMIT,
            "no 200 of /healthz within {LIMIT:?}"
        );
        ensure!(daemon.0.try_wait()?.is_none(), "browserd has ended");
        bench.pause(PAUSE);
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn is_healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// A child that does not outlive this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
