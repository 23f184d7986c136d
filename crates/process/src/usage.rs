//! Processor time and memory of a process and its descendants.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::procfs::{self, Stat};

/// The kernel counts processor time in ticks of 10 ms: shorter than this, a share of it would be
/// noise, and the last one is told again.
const SHORTEST: Duration = Duration::from_millis(100);

/// What a process tree uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Share of one processor, in percent; above 100 when several are busy.
    pub cpu_pct: f64,
    /// Resident memory, in bytes. Pages that processes share count for each.
    pub mem_bytes: u64,
}

/// The last measurement.
#[derive(Debug)]
pub(crate) struct Meter {
    at: Instant,
    cpu: Duration,
    cpu_pct: f64,
}

impl Meter {
    /// For a process that starts now.
    pub(crate) fn new() -> Self {
        Self {
            at: Instant::now(),
            cpu: Duration::ZERO,
            cpu_pct: 0.0,
        }
    }

    /// What the tree uses since the last call of this, or since its start.
    pub(crate) fn read(&mut self, tree: &Tree) -> Usage {
        let now = Instant::now();
        let elapsed = now - self.at;
        if elapsed >= SHORTEST {
            // Processor time of an orphan is gone with it, so that the sum can shrink.
            let cpu = tree.cpu.saturating_sub(self.cpu);
            let cpu_pct = cpu.as_secs_f64() / elapsed.as_secs_f64() * 100.0;
            *self = Self {
                at: now,
                cpu: tree.cpu,
                cpu_pct,
            };
        }
        Usage {
            cpu_pct: self.cpu_pct,
            mem_bytes: tree.mem_bytes,
        }
    }
}

/// What a process tree has used up to now.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Tree {
    cpu: Duration,
    mem_bytes: u64,
}

impl Tree {
    /// Adds up the descendants of a process and its session: an orphan has lost its parent, but
    /// not its session. Blocks.
    pub(crate) fn read(root: Pid) -> io::Result<Self> {
        let all = procfs::all()?;
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        let mut sum = (0, 0);
        for stat in members(root.as_raw_nonzero().get(), &all) {
            sum = (sum.0 + stat.cpu_ticks, sum.1 + stat.rss_pages);
        }
        Ok(Self {
            cpu: Duration::from_millis(sum.0 * 1_000 / ticks),
            mem_bytes: sum.1 * rustix::param::page_size() as u64,
        })
    }
}

fn members(root: i32, all: &[Stat]) -> Vec<&Stat> {
    let mut children: HashMap<i32, Vec<&Stat>> = HashMap::new();
    for stat in all {
        children.entry(stat.ppid).or_default().push(stat);
    }
    let is_start = |stat: &&Stat| stat.session == root || stat.pid.as_raw_nonzero().get() == root;
    let mut queue: Vec<&Stat> = all.iter().filter(is_start).collect();
    let mut seen: HashSet<Pid> = queue.iter().map(|stat| stat.pid).collect();
    let mut index = 0;
    while let Some(stat) = queue.get(index).copied() {
        index += 1;
        for child in children
            .get(&stat.pid.as_raw_nonzero().get())
            .into_iter()
            .flatten()
        {
            if seen.insert(child.pid) {
                queue.push(child);
            }
        }
    }
    queue
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, parent: i32, session: i32) -> Stat {
        let pid = Pid::from_raw(pid).unwrap();
        Stat {
            pid,
            state: b'S',
            ppid: parent,
            group: session,
            session,
            cpu_ticks: 1,
            rss_pages: 1,
        }
    }

    #[test]
    fn the_tree_is_descendants_and_session() {
        let all = [
            stat(1, 0, 1),
            stat(10, 1, 10),
            stat(11, 10, 10),
            // Orphaned, in the session.
            stat(12, 1, 10),
            // A session of its own below the tree.
            stat(13, 11, 13),
            stat(14, 13, 13),
            // Somebody else's.
            stat(20, 1, 20),
        ];
        let pids: HashSet<i32> = members(10, &all)
            .iter()
            .map(|stat| stat.pid.as_raw_nonzero().get())
            .collect();
        assert_eq!(pids, HashSet::from([10, 11, 12, 13, 14]));
    }

    #[test]
    fn a_share_is_measured_over_at_least_ten_ticks() {
        let start = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let mut meter = Meter {
            at: start,
            cpu: Duration::ZERO,
            cpu_pct: 0.0,
        };
        let tree = Tree {
            cpu: Duration::from_secs(1),
            mem_bytes: 7,
        };
        let first = meter.read(&tree);
        assert!((40.0..=50.0).contains(&first.cpu_pct), "{first:?}");
        // At once again: the same answer.
        assert_eq!(meter.read(&tree), first);
    }
}
