//! Looking for oneself: at the beginning, in new directories, and after a loss.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::Worker;
use crate::{
    Error, Result,
    watch::{event::ChangeKind, open::watch_error, tree::Known},
};

impl Worker {
    /// Learns what is there at the beginning, which is not told.
    pub(in crate::watch) fn learn(&mut self) -> Result<()> {
        let mut left = vec![PathBuf::new()];
        while let Some(dir) = left.pop() {
            let is_root = dir.as_os_str().is_empty();
            if !self.place_watch(&dir, is_root)? {
                continue;
            }
            for (path, known) in self.entries(&dir) {
                self.tree.insert(&path, known);
                if known.is_dir && self.recursive {
                    left.push(path);
                }
            }
        }
        Ok(())
    }

    /// Watches a new directory, and tells what came into it before the watch took hold.
    pub(super) fn adopt(&mut self, dir: &Path) -> Result<()> {
        let mut left = vec![dir.to_owned()];
        while let Some(dir) = left.pop() {
            if !self.place_watch(&dir, false)? {
                continue;
            }
            for (path, known) in self.entries(&dir) {
                if self.tree.get(&path).is_some() {
                    continue;
                }
                let now = self.look(&path);
                self.tree.insert(&path, known);
                self.tell(ChangeKind::Create, &path, known, now.as_ref());
                if known.is_dir {
                    left.push(path);
                }
            }
        }
        Ok(())
    }

    /// Compares everything with what is known, and tells what differs.
    pub(super) fn scan_again(&mut self) -> Result<()> {
        let mut left = vec![PathBuf::new()];
        while let Some(dir) = left.pop() {
            if !self.place_watch(&dir, false)? {
                if dir.as_os_str().is_empty() {
                    self.log.end(None);
                }
                continue;
            }
            let entries = self.entries(&dir);
            let there: std::collections::HashSet<OsString> = entries
                .iter()
                .filter_map(|(path, _)| path.file_name().map(ToOwned::to_owned))
                .collect();
            for name in self.tree.names(&dir) {
                let path = dir.join(&name);
                if !there.contains(&name) {
                    self.went(&path);
                }
            }
            for (path, known) in entries {
                self.compare(&path, known);
                if known.is_dir && self.recursive {
                    left.push(path);
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self, path: &Path, known: Known) {
        let old = self.tree.get(path);
        if old == Some(known) {
            return;
        }
        let now = self.look(path);
        let kind = match old {
            Some(old) if old.is_dir == known.is_dir => ChangeKind::Write,
            Some(_) => {
                self.went(path);
                ChangeKind::Create
            }
            None => ChangeKind::Create,
        };
        self.tree.insert(path, known);
        self.tell(kind, path, known, now.as_ref());
    }

    /// Returns whether the directory is watched now: one that is gone or closed is not.
    pub(super) fn place_watch(&mut self, dir: &Path, needed: bool) -> Result<bool> {
        let real = self.real(dir);
        if self.tree.len() > self.limits.directories {
            return Err(Error::WatchLimit { path: real });
        }
        match self.inotify.watch(&real) {
            Ok(wd) => {
                let before = self.tree.add_dir(dir, wd);
                if let Some(before) = before.filter(|wd| self.tree.path(*wd).is_none()) {
                    self.inotify.unwatch(before);
                }
                Ok(true)
            }
            Err(errno) if !needed && is_passing(errno) => Ok(false),
            Err(errno) => Err(watch_error(&real, errno)),
        }
    }

    /// What is in a directory now, of what is meant.
    fn entries(&self, dir: &Path) -> Vec<(PathBuf, Known)> {
        let Ok(entries) = fs::read_dir(self.real(dir)) else {
            return Vec::new();
        };
        let entries = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let path = dir.join(entry.file_name());
            let known = Known::of(&entry.metadata().ok()?);
            self.is_meant(&path).then_some((path, known))
        });
        entries.collect()
    }
}

/// Whether the directory just went, or may not be looked into.
fn is_passing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM
    )
}
