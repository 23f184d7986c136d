//! A GiB of stdout through the stream of events, against `cat` piped into `base64 -w0`.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use browserd_e2e::ports::Block;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::{
    Bench,
    daemon::Daemon,
    http::Http,
    row::{Bar, Row},
    stats::{median, take_turns},
};

/// The size of the file, of which [`TIMES`] make a GiB.
const FILE: usize = 64 << 20;
const TIMES: usize = 16;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let times = bench.rounds(TIMES, 2);
    let file = source()?;
    let path = file.path().display().to_string();
    let cat = vec![path; times].join(" ");
    let daemon = Daemon::start(bench, Block::claim()?, None)?;
    let mut http = Http::open(daemon.api())?;
    let megabytes = f64::from(u32::try_from(FILE * times)?) / 1e6;
    let mut round = |is_ours: &mut bool| {
        let start = Instant::now();
        if *is_ours {
            let script = format!("exec cat {cat}");
            let id = http.spawn(&json!({ "command": "sh", "args": ["-c", script] }))?;
            let text = http.drain(&format!("/process/{id}/stdout/stream"))?;
            ensure!(text > (FILE * times / 3 * 4) as u64, "{text} bytes of text");
        } else {
            piped(&cat)?;
        }
        Ok(megabytes / start.elapsed().as_secs_f64())
    };
    let mut sides = [false, true];
    let rounds = take_turns(&mut sides, bench.rounds(5, 1), &mut round)?;
    let [peer, ours] = [median(&rounds[0]), median(&rounds[1])];
    Ok(Row::against("MB/s", ours, peer, Bar::RatioAtLeast(0.5)))
}

/// A file in memory, of bytes that are not all the same.
fn source() -> anyhow::Result<NamedTempFile> {
    let mut file = NamedTempFile::with_prefix_in("browserd-bench-", "/dev/shm")
        .context("no tmpfs at /dev/shm")?;
    let block: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    for _ in 0..FILE >> 20 {
        file.write_all(&block)?;
    }
    Ok(file)
}

fn piped(cat: &str) -> anyhow::Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("cat {cat} | base64 -w0")]);
    let mut child = command.stdout(Stdio::null()).spawn()?;
    ensure!(child.wait()?.success(), "cat | base64 failed");
    Ok(())
}
