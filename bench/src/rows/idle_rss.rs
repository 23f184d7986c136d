//! The resident memory of a daemon that has answered a first session and then does nothing.

use std::time::Duration;

use browserd_e2e::{ports::Block, procfs};

use super::rss_per_cdp_session::to_f64;
use crate::{
    Bench,
    daemon::{Daemon, Echo},
    row::Row,
};

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let block = Block::claim()?;
    let echo = Echo::start(&block)?;
    let daemon = Daemon::start(bench, block, Some(echo.address()))?;
    drop(daemon.session()?);
    // Idle means that time has passed in which nothing was done.
    bench.pause(Duration::from_secs(2));
    let memory = procfs::memory(daemon.pid())?;
    let mib = |bytes| to_f64(bytes) / 1024.0 / 1024.0;
    let row = Row::absolute("MiB", mib(memory.rss_bytes), 12.0);
    Ok(row.note(format!("peak {:.1}", mib(memory.peak_bytes))))
}
