//! The output of spawned processes: whole, in bounds, at every reader's own speed.
//!
//! Short by default; `PROCESS_TEST_SECONDS` and `PROCESS_TEST_BYTES` make it long.

use std::{
    hash::{BuildHasher as _, RandomState},
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use browserd_e2e::{procfs, settings, spawned::Spawned, spawned::decoded, sse::Event};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{process::daemon, shared::Suite};

type Outcome = anyhow::Result<()>;

/// A stretch of one stream, read from the wire.
#[derive(Default)]
struct Taken {
    hash: Sha256,
    bytes: u64,
    last_id: Option<String>,
    exit: Option<Value>,
}

impl Taken {
    /// Takes stdout until the stream ends or the reader breaks off.
    async fn take(&mut self, process: &Spawned, cut: usize) -> anyhow::Result<()> {
        let events = process.output(self.last_id.as_deref()).await?;
        let mut events = events.cut_after(cut);
        while let Some(event) = events.next().await? {
            self.add(&event)?;
        }
        Ok(())
    }

    fn add(&mut self, event: &Event) -> anyhow::Result<()> {
        let json = event.json()?;
        self.last_id = Some(event.id.clone());
        if json["event"].is_null() {
            let bytes = decoded(&json["data_b64"])?;
            self.hash.update(&bytes);
            self.bytes += bytes.len() as u64;
            anyhow::ensure!(event.id == format!("{}.0", self.bytes), "id {}", event.id);
        } else {
            anyhow::ensure!(json["event"] == "exit", "{json}");
            self.exit = Some(json);
        }
        Ok(())
    }

    fn digest(self) -> String {
        hex(self.hash)
    }
}

/// The digest as `sha256sum` prints it.
pub(crate) fn hex(hash: Sha256) -> String {
    format!("{:x}", hash.finalize())
}

/// A process that writes so many bytes, no two stretches of which are the same.
async fn counting(daemon: &browserd_e2e::Daemon, bytes: u64) -> anyhow::Result<Spawned> {
    let script = format!("seq 1000000000 | head -c {bytes}");
    daemon.at.api.spawn_script(&script).await
}

/// The digest of what [`counting`] writes.
fn counted(bytes: u64) -> anyhow::Result<String> {
    let (mut hash, mut left) = (Sha256::new(), usize::try_from(bytes)?);
    let mut chunk = Vec::with_capacity(1 << 16);
    for number in 1.. {
        writeln!(chunk, "{number}")?;
        if chunk.len() >= (1 << 16) - 16 || chunk.len() >= left {
            let taken = chunk.len().min(left);
            hash.update(&chunk[..taken]);
            left -= taken;
            chunk.clear();
        }
        if left == 0 {
            break;
        }
    }
    Ok(hex(hash))
}

async fn reads_with(readers: usize) -> Outcome {
    let bytes = settings::process_bytes();
    let daemon = daemon().await?;
    let process = counting(&daemon, bytes).await?;
    let read = || async {
        let mut taken = Taken::default();
        taken.take(&process, usize::MAX).await?;
        anyhow::Ok(taken)
    };
    let all = futures_util::future::try_join_all((0..readers).map(|_| read())).await?;
    let wanted = counted(bytes)?;
    for taken in all {
        assert_eq!(taken.bytes, bytes);
        assert_eq!(taken.exit.as_ref().context("no exit")?["exit_code"], 0);
        assert_eq!(taken.digest(), wanted);
    }
    Ok(())
}

pub(crate) async fn one_reader_gets_every_byte(_: Suite) -> Outcome {
    reads_with(1).await
}

pub(crate) async fn two_readers_get_every_byte(_: Suite) -> Outcome {
    reads_with(2).await
}

pub(crate) async fn a_reader_that_is_cut_off_goes_on_where_it_was(_: Suite) -> Outcome {
    // Within what is kept, however long the reader is away.
    let bytes = settings::process_bytes().min(48 << 20);
    let daemon = daemon().await?;
    let process = counting(&daemon, bytes).await?;
    let mut taken = Taken::default();
    let mut cuts = 0;
    while taken.exit.is_none() {
        let random = RandomState::new().hash_one(cuts) % (4 << 20);
        taken
            .take(&process, usize::try_from(random)?)
            .await
            .with_context(|| format!("after {cuts} cuts"))?;
        cuts += 1;
    }
    assert!(cuts > 5, "{cuts} cuts");
    assert_eq!(taken.bytes, bytes);
    assert_eq!(taken.digest(), counted(bytes)?);
    Ok(())
}

pub(crate) async fn behind_the_exit_there_is_nothing(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let process = daemon.at.api.spawn_script("echo out").await?;
    let mut events = process.output(None).await?;
    let output = events.next().await?.context("no output")?;
    let exit = events.next().await?.context("no exit")?;
    assert_eq!(exit.json()?["event"], "exit");
    // Who has only the last piece of output is told of the exit.
    let mut events = process.output(Some(&output.id)).await?;
    assert_eq!(events.next().await?.context("no exit")?.id, exit.id);
    let refused = process.output(Some(&exit.id)).await;
    let refused = refused.err().context("a stream behind the exit")?;
    assert!(format!("{refused:#}").contains("204"), "{refused:#}");
    Ok(())
}

pub(crate) async fn output_that_nobody_reads_costs_nothing(_: Suite) -> Outcome {
    const KEPT: u64 = 64 << 20;
    let daemon = daemon().await?;
    let process = daemon.at.api.spawn(&json!({ "command": "yes" })).await?;
    let rss = || anyhow::Ok(procfs::memory(daemon.pid())?.rss_bytes);
    // What there is at first: buffers, threads, a runtime that has been used.
    pause(Duration::from_secs(1)).await;
    let first = rss()?;
    let (started, mut most) = (Instant::now(), first);
    while started.elapsed() < settings::process_time() {
        pause(Duration::from_millis(100)).await;
        most = most.max(rss()?);
    }
    assert!(most < first + (8 << 20), "from {first} to {most} bytes");
    process.kill("KILL").await?;

    let (mut stdout, mut gone, mut gaps) = (0_u64, 0_u64, 0);
    let mut events = process.output(None).await?;
    let mut last = None;
    while let Some(event) = events.next().await? {
        let json = event.json()?;
        if json["event"] == "gap" {
            assert!(stdout >= KEPT / 4, "the head has {stdout} bytes");
            gone += json["lost_bytes"].as_u64().context("no count")?;
            gaps += 1;
        } else if json["event"].is_null() {
            let bytes = decoded(&json["data_b64"])?;
            let even = (stdout + gone) % 2 == 0;
            let wanted: &[u8] = if even { b"y\n" } else { b"\ny" };
            let is_yes = bytes.chunks(2).all(|pair| wanted.starts_with(pair));
            assert!(is_yes, "after {stdout} bytes and {gone} gone ones");
            stdout += bytes.len() as u64;
        }
        last = Some((event.id, json));
    }
    let (id, exit) = last.context("no event at all")?;
    assert_eq!(exit["signal"], "SIGKILL");
    assert_eq!(gaps, 1);
    assert_eq!(id, format!("{}.0.exit", stdout + gone));
    assert!(
        (KEPT / 2..=KEPT).contains(&stdout),
        "{stdout} bytes are kept"
    );
    // It was not held up: far more was written than is kept.
    assert!(gone > KEPT, "{gone} bytes are gone");
    Ok(())
}

pub(crate) async fn status_tells_what_the_tree_uses(_: Suite) -> Outcome {
    let daemon = daemon().await?;
    let process = daemon
        .at
        .api
        .spawn_script("sh -c 'while :; do :; done' & wait")
        .await?;
    pause(Duration::from_millis(500)).await;
    let status = process.status().await?;
    assert_eq!(status["state"], "running");
    assert!(status["exit_code"].is_null());
    let (cpu, memory) = (&status["cpu_pct"], &status["mem_bytes"]);
    assert!(cpu.as_f64().is_some_and(|cpu| cpu > 5.0), "{status}");
    assert!(
        memory.as_u64().is_some_and(|bytes| bytes > 100_000),
        "{status}"
    );
    process.kill("TERM").await?;
    process.whole().await?;
    let status = process.status().await?;
    assert_eq!(
        (&status["state"], &status["exit_code"], &status["signal"]),
        (&json!("exited"), &json!(143), &json!("SIGTERM"))
    );
    let times = ["started_at", "exited_at"].map(|name| status[name].as_str().unwrap_or_default());
    assert!(times[0] < times[1] && times[1].ends_with('Z'), "{status}");
    Ok(())
}

/// Lets a process do something for a while.
async fn pause(period: Duration) {
    tokio::time::sleep(period).await;
}
