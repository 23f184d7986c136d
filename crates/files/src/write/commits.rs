//! One commit at a time to each file: of two writes that expect the same state, the second must
//! see what the first made of it.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::temp;

/// A file, by the device and inode of its directory and by its name in there.
type Key = (Option<(u64, u64)>, OsString);

/// The files that are being committed to. Each has a lock of its own, since a file system that
/// hangs must not hold up the others.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    under_way: Mutex<HashMap<Key, Arc<Mutex<()>>>>,
}

impl Commits {
    /// Does `work` while nobody else commits to the file.
    pub(super) fn alone<T>(&self, dir: &Path, name: &OsStr, work: impl FnOnce() -> T) -> T {
        let key = (temp::identity(dir), name.to_owned());
        let lock = Arc::clone(self.lock().entry(key.clone()).or_default());
        let alone = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work();
        drop(alone);
        drop(lock);
        let mut under_way = self.lock();
        // Whoever waits for the lock holds it too.
        if under_way.get(&key).map(Arc::strong_count) == Some(1) {
            under_way.remove(&key);
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Mutex<()>>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
