//! Processors, and what processes take of them.

use std::fs;

use anyhow::Context as _;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// Binds this thread, and what it starts from now on, to one processor; undone when dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: CpuSet,
    one: CpuSet,
}

impl Pinned {
    /// Takes the last processor that this thread may run on: the first has the interrupts.
    pub(crate) fn last() -> anyhow::Result<Self> {
        let own = Pid::from_raw(0);
        let before = sched_getaffinity(own).context("cannot read the processor affinity")?;
        let last = (0..CpuSet::count())
            .rev()
            .find(|&cpu| before.is_set(cpu).unwrap_or(false));
        let mut one = CpuSet::new();
        one.set(last.context("no processor to run on")?)?;
        sched_setaffinity(own, &one).context("cannot pin this thread")?;
        Ok(Self { before, one })
    }

    /// Brings all threads of a running process along.
    pub(crate) fn bring(&self, pid: u32) -> anyhow::Result<()> {
        for thread in threads(pid)? {
            let thread = Pid::from_raw(i32::try_from(thread)?);
            sched_setaffinity(thread, &self.one)
                .with_context(|| format!("cannot pin thread {thread} of process {pid}"))?;
        }
        Ok(())
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It was allowed before.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

/// Seconds of processor time that the threads of a process have had, to the nanosecond.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let mut seconds = 0.0;
    for thread in threads(pid)? {
        let path = format!("/proc/{pid}/task/{thread}/schedstat");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let nanoseconds = text
            .split_whitespace()
            .next()
            .and_then(|field| field.parse().ok());
        let nanoseconds: f64 = nanoseconds.with_context(|| format!("{path} holds {text:?}"))?;
        seconds += nanoseconds / 1e9;
    }
    Ok(seconds)
}

fn threads(pid: u32) -> anyhow::Result<Vec<u32>> {
    let path = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}
