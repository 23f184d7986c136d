//! What an open session adds to the daemon's resident memory: idle, or after traffic,
//! whichever is more.

use browserd_e2e::{ports::Block, procfs};

use crate::{
    Bench,
    client::{Client, KEY_LENGTH, text_frame},
    daemon::{Daemon, Echo},
    row::Row,
};

const SESSIONS: u32 = 200;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let block = Block::claim()?;
    let echo = Echo::start(&block)?;
    let daemon = Daemon::start(bench, block, Some(echo.address()))?;
    // What is allocated once is not a session's.
    traffic(&mut [daemon.session()?])?;
    let kib = || anyhow::Ok(to_f64(procfs::memory(daemon.pid())?.rss_bytes) / 1024.0);
    let before = kib()?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(daemon.session()?);
    }
    let idle = (kib()? - before) / f64::from(SESSIONS);
    traffic(&mut sessions)?;
    let used = (kib()? - before) / f64::from(SESSIONS);
    let row = Row::absolute("KiB", idle.max(used), 256.0);
    Ok(row.note(format!("idle {idle:.1}, after traffic {used:.1}")))
}

/// Sends 1 MiB through each session and back.
fn traffic(sessions: &mut [Client]) -> anyhow::Result<()> {
    let request = text_frame(&vec![b'x'; 1 << 20]);
    let mut answer = vec![0; request.len() - KEY_LENGTH];
    sessions
        .iter_mut()
        .try_for_each(|session| session.exchange(&request, &mut answer))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a process's memory is far below 2^52"
)]
pub(super) const fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}
