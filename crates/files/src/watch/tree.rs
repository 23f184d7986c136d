//! What a watch knows to be there: by it, what was reported is not reported again, and what came
//! or went unseen is found.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    fs::Metadata,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// What is known of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) is_dir: bool,
    /// The time and size of the content; nothing for a directory.
    pub(super) stamp: Option<(SystemTime, u64)>,
}

impl Known {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let is_dir = metadata.is_dir();
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Self {
            is_dir,
            stamp: (!is_dir).then_some((modified, metadata.len())),
        }
    }
}

/// The watched directories and what is in them. Paths are relative to the watch's own.
#[derive(Debug, Default)]
pub(super) struct Tree {
    dirs: BTreeMap<PathBuf, HashMap<OsString, Known>>,
}

impl Tree {
    /// Whether a directory is watched.
    pub(super) fn watches(&self, dir: &Path) -> bool {
        self.dirs.contains_key(dir)
    }

    /// Notes that a directory is watched.
    pub(super) fn add_dir(&mut self, dir: &Path) {
        self.dirs.entry(dir.to_owned()).or_default();
    }

    pub(super) fn get(&self, path: &Path) -> Option<Known> {
        let (dir, name) = split(path)?;
        self.dirs.get(dir)?.get(name).copied()
    }

    pub(super) fn insert(&mut self, path: &Path, known: Known) {
        if let Some((dir, name)) = split(path)
            && let Some(names) = self.dirs.get_mut(dir)
        {
            names.insert(name.to_owned(), known);
        }
    }

    /// Forgets an entry, and all that is below it.
    pub(super) fn remove(&mut self, path: &Path) -> Option<Known> {
        let (dir, name) = split(path)?;
        let known = self.dirs.get_mut(dir)?.remove(name)?;
        if known.is_dir {
            for dir in self.below(path) {
                self.dirs.remove(&dir);
            }
        }
        Some(known)
    }

    /// Moves an entry and all that is below it. Returns the directories that were moved, by their
    /// new paths, an outer one before what is in it.
    pub(super) fn rename(&mut self, from: &Path, to: &Path, known: Known) -> Vec<PathBuf> {
        self.remove(to);
        let below = self.below(from);
        let mut moved = Vec::with_capacity(below.len());
        for dir in below {
            let names = self.dirs.remove(&dir);
            let inner = dir.strip_prefix(from).unwrap_or(&dir);
            let path = if inner.as_os_str().is_empty() {
                to.to_owned()
            } else {
                to.join(inner)
            };
            if let Some(names) = names {
                self.dirs.insert(path.clone(), names);
                moved.push(path);
            }
        }
        self.remove(from);
        self.insert(to, known);
        moved
    }

    /// The names in a directory.
    pub(super) fn names(&self, dir: &Path) -> Vec<OsString> {
        self.dirs
            .get(dir)
            .map(|names| names.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// A watched directory and those below it, an outer one before what is in it.
    fn below(&self, dir: &Path) -> Vec<PathBuf> {
        let from = self.dirs.range(dir.to_owned()..);
        let paths = from.map(|(path, _)| path);
        paths
            .take_while(|path| path.starts_with(dir))
            .cloned()
            .collect()
    }
}

fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    Some((path.parent()?, path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIR: Known = Known {
        is_dir: true,
        stamp: None,
    };
    const FILE: Known = Known {
        is_dir: false,
        stamp: None,
    };

    fn tree(dirs: &[&str]) -> Tree {
        let mut tree = Tree::default();
        tree.add_dir(Path::new(""));
        for dir in dirs {
            tree.insert(Path::new(dir), DIR);
            tree.add_dir(Path::new(dir));
        }
        tree
    }

    #[test]
    fn a_directory_goes_with_all_below_it_and_nothing_else() {
        let mut tree = tree(&["a", "a/b", "a/b/c", "a.b", "ab"]);
        tree.insert(Path::new("a/b/file"), FILE);
        assert_eq!(tree.remove(Path::new("a")), Some(DIR));
        assert_eq!(tree.remove(Path::new("a")), None);
        for (dir, there) in [
            ("", true),
            ("a", false),
            ("a/b/c", false),
            ("a.b", true),
            ("ab", true),
        ] {
            assert_eq!(tree.watches(Path::new(dir)), there, "{dir}");
        }
        assert_eq!(tree.get(Path::new("a/b/file")), None);
    }

    #[test]
    fn a_renamed_directory_takes_what_is_in_it_along() {
        let mut tree = tree(&["a", "a/b", "x"]);
        tree.insert(Path::new("a/b/file"), FILE);
        let moved = tree.rename(Path::new("a"), Path::new("x/y"), DIR);
        assert_eq!(moved, [Path::new("x/y"), Path::new("x/y/b")]);
        assert_eq!(tree.get(Path::new("x/y/b/file")), Some(FILE));
        assert_eq!(tree.get(Path::new("x/y")), Some(DIR));
        assert_eq!(tree.get(Path::new("a")), None);
        assert!(!tree.watches(Path::new("a/b")));
    }
}
