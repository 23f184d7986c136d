//! The processes that one process has started, wherever they are now.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::wait_blocking;
use crate::procfs::{self, Stat};

/// What was ever seen of the tree below one process.
#[derive(Debug)]
pub(super) struct Tree {
    root: u32,
    mark: String,
    /// Pid and start time: a pid alone may have passed to a stranger.
    seen: HashMap<u32, u64>,
}

impl Tree {
    /// The tree below `root`, whose members carry `mark` in their environment.
    pub(super) fn new(root: u32, mark: String) -> Self {
        let seen = procfs::stat(root)
            .map(|stat| (root, stat.started))
            .into_iter()
            .collect();
        Self { root, mark, seen }
    }

    /// Looks for members, and remembers them: a child is known as one only while its parent is.
    pub(super) fn update(&mut self) {
        let all = procfs::all();
        self.seen
            .retain(|pid, started| all.get(pid).is_some_and(|stat| stat.started == *started));
        let mut found: HashSet<u32> = self.seen.keys().copied().collect();
        let is_marked = |pid: &u32, stat: &Stat| {
            stat.session == self.root || procfs::mentions(*pid, &self.mark)
        };
        found.extend(
            all.iter()
                .filter(|(pid, stat)| is_marked(pid, stat))
                .map(|(pid, _)| *pid),
        );
        loop {
            let children = all.iter().filter(|(_, stat)| found.contains(&stat.parent));
            let new: Vec<u32> = children
                .map(|(pid, _)| *pid)
                .filter(|pid| !found.contains(pid))
                .collect();
            if new.is_empty() {
                break;
            }
            found.extend(new);
        }
        found.remove(&std::process::id());
        let known = found
            .into_iter()
            .filter_map(|pid| Some((pid, all.get(&pid)?.started)));
        self.seen.extend(known);
    }

    /// Kills what is left, until nothing is. Returns how many there were at first.
    pub(super) fn kill(&mut self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        let mut first = None;
        loop {
            self.update();
            let mut ends = Vec::new();
            for (&pid, &started) in &self.seen {
                let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
                    continue;
                };
                let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
                    continue;
                };
                // Only now can the pid no longer change hands.
                let stat = procfs::stat(pid.as_raw_nonzero().get().unsigned_abs());
                if stat.is_some_and(|stat| stat.started == started && !stat.is_zombie)
                    && pidfd_send_signal(&pidfd, Signal::KILL).is_ok()
                {
                    ends.push(pidfd);
                }
            }
            first.get_or_insert(ends.len());
            if ends.is_empty() || Instant::now() >= deadline {
                return first.unwrap_or_default();
            }
            for end in &ends {
                wait_blocking(end, deadline.saturating_duration_since(Instant::now()));
            }
        }
    }
}
