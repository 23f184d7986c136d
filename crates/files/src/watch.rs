//! Watching directories for changes, on inotify.
//!
//! A watch is a thread that reads the kernel's events, knows what is in the watched directories,
//! and keeps the last events in a log. Any number of readers follow the log, each at its own
//! pace, from any point that it still has.

mod event;
mod inotify;
mod log;
mod open;
mod tree;
mod worker;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use uuid::Uuid;

pub use event::{ChangeKind, WatchEvent, WatchItem};
pub use log::WatchEvents;

use crate::{Error, Files, FsPath, Result, blocking};
use log::Log;

/// What to watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// Whether what happens in subdirectories is told too, also in those that are yet to come.
    pub recursive: bool,
}

/// How watches behave.
#[derive(Debug, Clone, Copy)]
pub struct WatchLimits {
    /// So many watches at once; each takes an inotify instance, of which users have 128.
    pub watches: usize,
    /// So many events are kept for each.
    pub events: usize,
    /// So many directories in each, of which all are known by name, with what is in them.
    pub directories: usize,
    /// So many readers at once for each.
    pub readers: usize,
    /// So many of the kernel's events may wait for a watch's thread.
    pub queued: usize,
    /// A watch that nobody reads for so long ends.
    pub idle: Duration,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            watches: 64,
            events: 10_000,
            directories: 100_000,
            readers: 256,
            // As many as the kernel's own queue holds.
            queued: 16_384,
            idle: Duration::from_secs(60 * 60),
        }
    }
}

/// The watches that exist.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    running: Mutex<HashMap<String, Arc<Log>>>,
}

impl Files {
    /// Begins to watch a directory, or a file. Returns the watch's id; what changes from here on
    /// is kept for whoever reads.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a watch that nobody knows of. It ends when it is idle.
    pub async fn watch(&self, path: &FsPath, options: WatchOptions) -> Result<String> {
        let limits = self.shared.config.watch_limits;
        let id = Uuid::new_v4().to_string();
        let log = Arc::new(Log::new(limits.events));
        self.shared.watches.add(&id, &log, limits.watches)?;
        let place = Place {
            shared: Arc::downgrade(&self.shared),
            id: id.clone(),
        };
        let target = path.as_path().to_owned();
        let opened = blocking(&self.shared.pools.trees, path.as_path(), move || {
            open::open(&target, options, log, limits, place)
        })
        .await;
        if opened.is_err() {
            self.shared.watches.remove(&id);
        }
        opened.map(|()| id)
    }

    /// Reads a watch's events: those behind `after`, or all that it still has.
    pub fn watch_events(&self, id: &str, after: Option<u64>) -> Result<WatchEvents> {
        let running = self.shared.watches.lock();
        let log = running.get(id).ok_or_else(|| unknown(id))?;
        WatchEvents::new(
            Arc::clone(log),
            after,
            self.shared.config.watch_limits.readers,
        )
    }

    /// Ends a watch. Its readers get what is left and then the end.
    pub fn end_watch(&self, id: &str) -> Result<()> {
        let log = self.shared.watches.remove(id).ok_or_else(|| unknown(id))?;
        log.end(None);
        Ok(())
    }

    /// Ends all watches, for the daemon is about to stop.
    pub fn end_watches(&self) {
        let running = std::mem::take(&mut *self.shared.watches.lock());
        for log in running.into_values() {
            log.end(None);
        }
    }
}

impl Watches {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Log>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: &str, log: &Arc<Log>, limit: usize) -> Result<()> {
        let mut running = self.lock();
        if running.len() >= limit {
            return Err(Error::TooManyWatches { limit });
        }
        running.insert(id.to_owned(), Arc::clone(log));
        Ok(())
    }

    fn remove(&self, id: &str) -> Option<Arc<Log>> {
        self.lock().remove(id)
    }
}

/// Where a watch is listed, for it to take itself off.
#[derive(Debug)]
struct Place {
    shared: std::sync::Weak<crate::Shared>,
    id: String,
}

impl Place {
    fn leave(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.watches.remove(&self.id);
        }
    }
}

fn unknown(id: &str) -> Error {
    Error::UnknownWatch {
        id: crate::path::shorten(id.as_ref()),
    }
}
