//! The thread of a watch: from the kernel's events to what is told.

mod changes;
mod scan;

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::fs::inotify::ReadFlags;

use super::{
    WatchLimits,
    event::{ChangeKind, WatchEvent},
    inotify::{Inotify, Raw},
    log::Log,
    open::Root,
    tree::{Known, Subtree, Tree},
};
use crate::{Result, error::Attempt, path::name_of, temp::is_temporary};

/// So many events are looked at together.
const BATCH: usize = 4096;
/// How often the thread looks whether anyone reads.
const IDLE_CHECK: Duration = Duration::from_secs(30);
/// The two halves of a rename come one right after the other, unless the thread that renames or
/// the one that reads the events has to wait for a processor in between. A half that is alone for
/// so long stays alone: the other side is not watched.
const OTHER_HALF: Duration = Duration::from_millis(200);
/// So many first halves wait for their second. More come where many threads rename at once.
const MAX_DEPARTURES: usize = 64;

/// The first half of a rename.
#[derive(Debug)]
struct Departure {
    /// What pairs it with the second.
    cookie: u32,
    path: PathBuf,
    since: Instant,
}

/// What stood where a rename led to. Where the two were exchanged, its own rename comes next.
#[derive(Debug)]
struct Displaced {
    at: PathBuf,
    /// Where what displaced it came from.
    by: PathBuf,
    subtree: Subtree,
    since: Instant,
}

/// The thread's own.
pub(super) struct Worker {
    root: Root,
    recursive: bool,
    inotify: Inotify,
    log: Arc<Log>,
    limits: WatchLimits,
    tree: Tree,
    departures: Vec<Departure>,
    displaced: Option<Displaced>,
}

impl Worker {
    pub(super) fn new(
        root: Root,
        recursive: bool,
        inotify: Inotify,
        log: Arc<Log>,
        limits: WatchLimits,
    ) -> Self {
        Self {
            recursive: recursive && root.only.is_none(),
            root,
            inotify,
            log,
            limits,
            tree: Tree::default(),
            departures: Vec::new(),
            displaced: None,
        }
    }

    /// Works until the watch ends.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        while !self.log.has_ended() {
            let idle = self.limits.idle;
            if self.log.idle().is_some_and(|now| now >= idle) {
                self.log.end(None);
                return;
            }
            if let Err(error) = self.turn(&mut batch) {
                self.log.end(Some(error.to_string()));
            }
        }
    }

    fn turn(&mut self, batch: &mut Vec<Raw>) -> Result<()> {
        let read = self.inotify.wait(self.patience());
        let read = read.and_then(|()| self.inotify.read(BATCH, batch));
        read.attempt("read the changes of", &self.root.shown)?;
        self.digest(batch)
    }

    fn patience(&self) -> Duration {
        let since = self.departures.iter().map(|half| half.since);
        let oldest = since.chain(self.displaced.iter().map(|it| it.since)).min();
        oldest.map_or_else(
            || IDLE_CHECK.min(self.limits.idle),
            |since| OTHER_HALF.saturating_sub(since.elapsed()),
        )
    }

    fn digest(&mut self, batch: &mut Vec<Raw>) -> Result<()> {
        let overflow = |event: &Raw| event.what.contains(ReadFlags::QUEUE_OVERFLOW);
        if batch.iter().any(overflow) || self.inotify.is_behind(self.limits.queued) {
            return self.start_over(batch);
        }
        for event in batch.drain(..) {
            self.change(&event)?;
        }
        let is_alone = |since: Instant| since.elapsed() >= OTHER_HALF;
        let alone = self.departures.extract_if(.., |half| is_alone(half.since));
        for half in alone.collect::<Vec<_>>() {
            self.left(&half.path);
        }
        if let Some(displaced) = self.displaced.take_if(|it| is_alone(it.since)) {
            self.forget(&displaced.subtree);
        }
        Ok(())
    }

    /// Events were lost: what waits is older than what a look finds.
    fn start_over(&mut self, batch: &mut Vec<Raw>) -> Result<()> {
        loop {
            batch.clear();
            let read = self.inotify.read(BATCH, batch);
            read.attempt("read the changes of", &self.root.shown)?;
            if batch.is_empty() {
                break;
            }
        }
        self.departures.clear();
        if let Some(displaced) = self.displaced.take() {
            self.forget(&displaced.subtree);
        }
        self.log.push(None);
        self.scan_again()
    }

    /// Watches what is gone no longer.
    fn forget(&self, subtree: &Subtree) {
        for wd in subtree.wds() {
            // It may be elsewhere by now.
            if self.tree.path(wd).is_none() {
                self.inotify.unwatch(wd);
            }
        }
    }

    /// Whether a path is one of those that are told of.
    fn is_meant(&self, path: &Path) -> bool {
        let only = self.root.only.as_deref();
        !is_temporary(name_of(path)) && only.is_none_or(|only| path.as_os_str() == only)
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.root.real.join(path)
    }

    fn look(&self, path: &Path) -> Option<Metadata> {
        std::fs::symlink_metadata(self.real(path)).ok()
    }

    /// Tells of a change. `now` is what the path (of a rename, the new one) leads to.
    fn tell(&self, kind: ChangeKind, path: &Path, known: Known, now: Option<&Metadata>) {
        self.log.push(Some(self.event(kind, path, known, now)));
    }

    fn tell_rename(&self, from: &Path, to: &Path, known: Known, now: Option<&Metadata>) {
        self.log.push(Some(WatchEvent {
            dest_path: Some(self.shown(to)),
            ..self.event(ChangeKind::Rename, from, known, now)
        }));
    }

    fn event(
        &self,
        kind: ChangeKind,
        path: &Path,
        known: Known,
        now: Option<&Metadata>,
    ) -> WatchEvent {
        WatchEvent {
            kind,
            path: self.shown(path),
            name: name_of(&self.shown(path)).to_owned(),
            is_dir: known.is_dir,
            size_bytes: now.map(|it| if it.is_dir() { 0 } else { it.len() }),
            mod_time: now.and_then(|it| it.modified().ok()),
            dest_path: None,
        }
    }

    fn shown(&self, path: &Path) -> PathBuf {
        if path.as_os_str().is_empty() {
            return self.root.shown.clone();
        }
        self.root.shown.join(path)
    }
}
