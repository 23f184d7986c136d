//! What each of the kernel's events means.

use std::{fs::Metadata, path::Path, time::Instant};

use rustix::fs::inotify::ReadFlags;

use super::{Departure, Displaced, MAX_DEPARTURES, Worker};
use crate::{
    Result,
    path::name_of,
    temp::is_temporary,
    watch::{event::ChangeKind, inotify::Raw, tree::Known},
};

impl Worker {
    pub(super) fn change(&mut self, event: &Raw) -> Result<()> {
        // One of a directory that has left, or that another one has replaced.
        let Some(dir) = self.tree.path(event.wd) else {
            return Ok(());
        };
        let what = event.what;
        let Some(name) = &event.name else {
            if dir.as_os_str().is_empty() {
                self.root_change(what);
            }
            return Ok(());
        };
        let path = dir.join(name);
        if what.contains(ReadFlags::CREATE) {
            self.came(&path, what.contains(ReadFlags::ISDIR))
        } else if what.contains(ReadFlags::MODIFY) {
            self.wrote(&path)
        } else if what.contains(ReadFlags::MOVED_FROM) {
            self.departs(&path, event.cookie);
            Ok(())
        } else if what.contains(ReadFlags::MOVED_TO) {
            self.arrives(&path, event.cookie)
        } else {
            if what.contains(ReadFlags::DELETE) {
                self.went(&path);
            }
            Ok(())
        }
    }

    /// The watched directory itself is gone, or is elsewhere.
    fn root_change(&mut self, what: ReadFlags) {
        let kind = if what.intersects(ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT) {
            ChangeKind::Delete
        } else if what.contains(ReadFlags::MOVE_SELF) {
            ChangeKind::Rename
        } else {
            return;
        };
        if self.root.only.is_none() {
            let known = Known {
                is_dir: true,
                stamp: None,
            };
            self.tell(kind, Path::new(""), known, None);
        }
        self.log.end(None);
    }

    fn came(&mut self, path: &Path, is_dir: bool) -> Result<()> {
        if !self.is_meant(path) {
            return Ok(());
        }
        let now = self.look(path);
        let known = now.as_ref().map_or(
            Known {
                is_dir,
                stamp: None,
            },
            Known::of,
        );
        if self.tree.get(path).is_none() {
            self.tree.insert(path, known);
            self.tell(ChangeKind::Create, path, known, now.as_ref());
        }
        if known.is_dir && self.recursive {
            self.adopt(path)?;
        }
        Ok(())
    }

    fn wrote(&mut self, path: &Path) -> Result<()> {
        if !self.is_meant(path) {
            return Ok(());
        }
        let now = self.look(path);
        match (self.tree.get(path), &now) {
            (Some(known), now) => {
                let known = now.as_ref().map_or(known, Known::of);
                self.tree.insert(path, known);
                self.tell(ChangeKind::Write, path, known, now.as_ref());
                Ok(())
            }
            (None, Some(_)) => self.came(path, false),
            (None, None) => Ok(()),
        }
    }

    pub(super) fn went(&mut self, path: &Path) {
        if let Some(subtree) = self.tree.take(path) {
            self.tell(ChangeKind::Delete, path, subtree.known, None);
            self.forget(&subtree);
        }
    }

    fn departs(&mut self, path: &Path, cookie: u32) {
        if self.departures.len() >= MAX_DEPARTURES {
            let oldest = self.departures.remove(0);
            self.left(&oldest.path);
        }
        self.departures.push(Departure {
            cookie,
            path: path.to_owned(),
            since: Instant::now(),
        });
    }

    /// An entry was moved to where nobody looks.
    pub(super) fn left(&mut self, path: &Path) {
        if let Some(subtree) = self.tree.take(path) {
            self.tell(ChangeKind::Rename, path, subtree.known, None);
            self.forget(&subtree);
        }
    }

    fn arrives(&mut self, path: &Path, cookie: u32) -> Result<()> {
        let half = self.departures.iter().position(|it| it.cookie == cookie);
        let from = half.map(|at| self.departures.remove(at).path);
        match from {
            Some(from) if self.tree.get(&from).is_some() => self.renamed(&from, path),
            // From elsewhere, or a temporary name: it may be new or have new content.
            _ if !self.is_meant(path) => Ok(()),
            _ => self.replaced(path),
        }
    }

    fn renamed(&mut self, from: &Path, to: &Path) -> Result<()> {
        if is_temporary(name_of(to)) {
            self.went(from);
            return Ok(());
        }
        let is_other_half = |it: &mut Displaced| it.at == from && it.by == to;
        let displaced = self.displaced.take_if(is_other_half);
        // In an exchange there is something at both ends.
        let exchanged = displaced.filter(|_| self.look(from).is_some());
        let moved = match exchanged {
            Some(displaced) => Some(displaced.subtree),
            None => self.tree.take(from),
        };
        let Some(mut moved) = moved else {
            return Ok(());
        };
        let now = self.look(to);
        self.tell_rename(from, to, moved.known, now.as_ref());
        if !self.is_meant(to) {
            self.forget(&moved);
            return Ok(());
        }
        self.displace(from, to);
        moved.known = now.as_ref().map_or(moved.known, Known::of);
        let is_dir = moved.known.is_dir;
        for dir in self.tree.put(to, moved) {
            self.place_watch(&dir, false)?;
        }
        if is_dir && self.recursive {
            // It may have been renamed before its watch took hold.
            self.adopt(to)?;
        }
        Ok(())
    }

    /// Sets aside what stood where something is moved to.
    fn displace(&mut self, by: &Path, at: &Path) {
        let Some(subtree) = self.tree.take(at) else {
            return;
        };
        let displaced = Displaced {
            at: at.to_owned(),
            by: by.to_owned(),
            subtree,
            since: Instant::now(),
        };
        if let Some(before) = self.displaced.replace(displaced) {
            self.forget(&before.subtree);
        }
    }

    fn replaced(&mut self, path: &Path) -> Result<()> {
        let now = self.look(path);
        let is_dir = now.as_ref().is_some_and(Metadata::is_dir);
        match self.tree.get(path) {
            Some(old) if !old.is_dir && !is_dir => self.wrote(path),
            _ => {
                if let Some(subtree) = self.tree.take(path) {
                    self.forget(&subtree);
                }
                self.came(path, is_dir)
            }
        }
    }
}
