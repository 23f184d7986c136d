//! The thread of a watch: from the kernel's events to what is told.

mod changes;
mod scan;

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use notify::RecommendedWatcher;

use super::{
    event::{ChangeKind, WatchEvent},
    log::Log,
    open::Root,
    tree::{Known, Tree},
};
use crate::{Result, path::name_of, temp::is_temporary};

/// So many events are looked at together, so that many writes to one file become one.
const BATCH: usize = 4096;
/// How often the thread looks whether anyone reads.
const IDLE_CHECK: Duration = Duration::from_secs(30);
/// The two halves of a rename come one right after the other, unless the thread that renames or
/// the one that reads the events has to wait for a processor in between. A half that is alone for
/// so long stays alone: the other side is not watched.
const OTHER_HALF: Duration = Duration::from_millis(200);

/// What the thread is woken by.
#[derive(Debug)]
pub(crate) enum Message {
    /// The kernel told something.
    Change(notify::Result<notify::Event>),
    /// Something is to be looked at.
    Wake,
}

/// The first half of a rename.
#[derive(Debug)]
struct Departure {
    /// What pairs it with the second.
    cookie: usize,
    path: PathBuf,
    since: Instant,
}

/// The thread's own.
pub(super) struct Worker {
    root: Root,
    recursive: bool,
    watcher: RecommendedWatcher,
    log: Arc<Log>,
    overflow: Arc<AtomicBool>,
    tree: Tree,
    departure: Option<Departure>,
}

impl Worker {
    pub(super) fn new(
        root: Root,
        recursive: bool,
        watcher: RecommendedWatcher,
        log: Arc<Log>,
        overflow: Arc<AtomicBool>,
    ) -> Self {
        Self {
            recursive: recursive && root.only.is_none(),
            root,
            watcher,
            log,
            overflow,
            tree: Tree::default(),
            departure: None,
        }
    }

    /// Works until the watch ends.
    pub(super) fn run(mut self, messages: &Receiver<Message>, idle: Duration) {
        let mut batch = Vec::new();
        while !self.log.has_ended() {
            if self.log.idle().is_some_and(|now| now >= idle) {
                self.log.end(None);
                return;
            }
            match messages.recv_timeout(self.patience(idle)) {
                Ok(message) => batch.push(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            batch.extend(messages.try_iter().take(BATCH));
            if let Err(error) = self.digest(&mut batch, messages) {
                self.log.end(Some(error.to_string()));
            }
        }
    }

    fn patience(&self, idle: Duration) -> Duration {
        let half = self.departure.as_ref();
        half.map_or_else(
            || IDLE_CHECK.min(idle),
            |half| OTHER_HALF.saturating_sub(half.since.elapsed()),
        )
    }

    fn digest(&mut self, batch: &mut Vec<Message>, messages: &Receiver<Message>) -> Result<()> {
        let lost = self.overflow.swap(false, Ordering::AcqRel);
        if lost || batch.iter().any(is_loss) {
            // What waits is older than what a look finds.
            batch.clear();
            messages.try_iter().for_each(drop);
            self.overflow.store(false, Ordering::Release);
            self.departure = None;
            self.log.push(None);
            return self.scan_again();
        }
        let mut events = batch.drain(..).peekable();
        let mut changes = Vec::new();
        while let Some(message) = events.next() {
            let Message::Change(Ok(event)) = message else {
                continue;
            };
            let again = matches!(events.peek(), Some(Message::Change(Ok(next))) if *next == event);
            if !again {
                changes.push(event);
            }
        }
        drop(events);
        for event in changes {
            self.change(&event)?;
        }
        let alone = |half: &mut Departure| half.since.elapsed() >= OTHER_HALF;
        if let Some(half) = self.departure.take_if(alone) {
            self.left(&half.path);
        }
        Ok(())
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
            name: name_of(&self.root.shown.join(path))
                .to_string_lossy()
                .into_owned(),
            is_dir: known.is_dir,
            size_bytes: now.map(|it| if it.is_dir() { 0 } else { it.len() }),
            mod_time: now.and_then(|it| it.modified().ok()),
            dest_path: None,
        }
    }

    fn shown(&self, path: &Path) -> String {
        let path = if path.as_os_str().is_empty() {
            self.root.shown.clone()
        } else {
            self.root.shown.join(path)
        };
        path.to_string_lossy().into_owned()
    }
}

/// Whether the kernel dropped events, or could not be read.
fn is_loss(message: &Message) -> bool {
    match message {
        Message::Change(Ok(event)) => event.need_rescan(),
        Message::Change(Err(_)) => true,
        Message::Wake => false,
    }
}
