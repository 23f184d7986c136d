//! What a watch tells.

use std::{ffi::OsString, path::PathBuf, time::SystemTime};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It is new.
    Create,
    /// Its content changed.
    Write,
    /// It is gone.
    Delete,
    /// It has another name or is elsewhere.
    Rename,
}

/// A change of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// What happened.
    pub kind: ChangeKind,
    /// The whole path; of a rename, the old one.
    pub path: PathBuf,
    /// The last component of the path.
    pub name: OsString,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Its size now, unless it is gone.
    pub size_bytes: Option<u64>,
    /// When its content last changed, unless it is gone.
    pub mod_time: Option<SystemTime>,
    /// The new path of a rename, where the watch saw it.
    pub dest_path: Option<PathBuf>,
}

/// What a reader of a watch gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchItem {
    /// A change.
    Event {
        /// Its number in the watch, from 1 on.
        sequence: u64,
        /// The change.
        event: WatchEvent,
    },
    /// Changes that cannot be told any more.
    Gap {
        /// Where the gap ends.
        sequence: u64,
        /// How many; `None` where the kernel dropped them. What is there is looked at then, and
        /// what has changed follows.
        lost_events: Option<u64>,
    },
}
