//! What each of the kernel's events means.

use std::{path::Path, time::Instant};

use notify::{
    Event, EventKind,
    event::{CreateKind, ModifyKind, RenameMode},
};

use super::{Departure, Worker};
use crate::{
    Result,
    path::name_of,
    temp::is_temporary,
    watch::{event::ChangeKind, tree::Known},
};

impl Worker {
    pub(super) fn change(&mut self, event: &Event) -> Result<()> {
        let path = event.paths.first();
        let Some(path) = path.and_then(|path| path.strip_prefix(&self.root.real).ok()) else {
            return Ok(());
        };
        if path.as_os_str().is_empty() {
            self.root_change(event.kind);
            return Ok(());
        }
        // An event of a directory that has left, or has another name by now.
        if !self
            .tree
            .watches(path.parent().unwrap_or_else(|| Path::new("")))
        {
            return Ok(());
        }
        match event.kind {
            EventKind::Create(kind) => self.came(path, kind == CreateKind::Folder),
            EventKind::Modify(ModifyKind::Data(_)) => self.wrote(path),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                // One without a cookie is told by the directory itself as well as by its parent.
                if let Some(cookie) = event.tracker() {
                    self.departs(path, cookie);
                }
                Ok(())
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                self.arrives(path, event.tracker())
            }
            EventKind::Remove(_) => {
                self.went(path);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The watched directory itself is gone, or is elsewhere.
    fn root_change(&mut self, kind: EventKind) {
        let kind = match kind {
            EventKind::Remove(_) => ChangeKind::Delete,
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => ChangeKind::Rename,
            _ => return,
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

    fn went(&mut self, path: &Path) {
        if let Some(known) = self.tree.remove(path) {
            self.tell(ChangeKind::Delete, path, known, None);
        }
    }

    fn departs(&mut self, path: &Path, cookie: usize) {
        let half = Departure {
            cookie,
            path: path.to_owned(),
            since: Instant::now(),
        };
        if let Some(other) = self.departure.replace(half) {
            self.left(&other.path);
        }
    }

    /// An entry was moved to where nobody looks.
    pub(super) fn left(&mut self, path: &Path) {
        if let Some(known) = self.tree.remove(path) {
            self.tell(ChangeKind::Rename, path, known, None);
        }
    }

    fn arrives(&mut self, path: &Path, cookie: Option<usize>) -> Result<()> {
        let pair = |half: &mut Departure| Some(half.cookie) == cookie;
        let from = self.departure.take_if(pair).map(|half| half.path);
        let known = from.as_ref().and_then(|from| self.tree.get(from));
        match (from, known) {
            (Some(from), Some(known)) => self.renamed(&from, path, known),
            // From elsewhere, or a temporary name: it may be new or have new content.
            _ if !self.is_meant(path) => Ok(()),
            _ => self.replaced(path),
        }
    }

    fn renamed(&mut self, from: &Path, to: &Path, known: Known) -> Result<()> {
        if is_temporary(name_of(to)) {
            self.went(from);
            return Ok(());
        }
        let now = self.look(to);
        self.tell_rename(from, to, known, now.as_ref());
        if !self.is_meant(to) {
            self.tree.remove(from);
            return Ok(());
        }
        let known = now.as_ref().map_or(known, Known::of);
        for dir in self.tree.rename(from, to, known) {
            // The kernel's watch is bound to the old name.
            self.adopt(&dir)?;
        }
        Ok(())
    }

    fn replaced(&mut self, path: &Path) -> Result<()> {
        let now = self.look(path);
        let is_dir = now.as_ref().is_some_and(std::fs::Metadata::is_dir);
        match self.tree.get(path) {
            Some(old) if !old.is_dir && !is_dir => self.wrote(path),
            _ => {
                self.tree.remove(path);
                self.came(path, is_dir)
            }
        }
    }
}
