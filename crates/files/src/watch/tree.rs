//! What a watch knows to be there: by it, what was reported is not reported again, and what came
//! or went unseen is found.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    fs::Metadata,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::inotify::Wd;

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

/// No watch of the kernel's, which counts from 1.
const NONE: Wd = -1;

/// A watched directory.
#[derive(Debug)]
struct Dir {
    wd: Wd,
    names: HashMap<OsString, Known>,
}

/// The watched directories and what is in them. Paths are relative to the watch's own.
#[derive(Debug, Default)]
pub(super) struct Tree {
    dirs: BTreeMap<PathBuf, Dir>,
    /// Where the directory is that the kernel tells of.
    paths: HashMap<Wd, PathBuf>,
}

/// An entry that was taken out of the tree, with all that is below it.
#[derive(Debug)]
pub(super) struct Subtree {
    pub(super) known: Known,
    /// By their paths in it, an outer one before what is in it.
    dirs: Vec<(PathBuf, Dir)>,
}

impl Subtree {
    /// What the kernel calls the directories in it.
    pub(super) fn wds(&self) -> impl Iterator<Item = Wd> {
        let wds = self.dirs.iter().map(|(_, dir)| dir.wd);
        wds.filter(|wd| *wd != NONE)
    }
}

impl Tree {
    /// How many directories are watched.
    pub(super) fn len(&self) -> usize {
        self.dirs.len()
    }

    /// Where a directory is that the kernel tells of.
    pub(super) fn path(&self, wd: Wd) -> Option<&Path> {
        self.paths.get(&wd).map(PathBuf::as_path)
    }

    /// Notes that a directory is watched. Returns what stood there for another one before.
    pub(super) fn add_dir(&mut self, path: &Path, wd: Wd) -> Option<Wd> {
        let dir = self.dirs.entry(path.to_owned()).or_insert_with(|| Dir {
            wd,
            names: HashMap::new(),
        });
        let before = std::mem::replace(&mut dir.wd, wd);
        if before != wd {
            self.paths.remove(&before);
        }
        self.paths.insert(wd, path.to_owned());
        (before != wd).then_some(before)
    }

    pub(super) fn get(&self, path: &Path) -> Option<Known> {
        let (dir, name) = split(path)?;
        self.dirs.get(dir)?.names.get(name).copied()
    }

    pub(super) fn insert(&mut self, path: &Path, known: Known) {
        if let Some((dir, name)) = split(path)
            && let Some(dir) = self.dirs.get_mut(dir)
        {
            dir.names.insert(name.to_owned(), known);
        }
    }

    /// Takes an entry out, and all that is below it.
    pub(super) fn take(&mut self, path: &Path) -> Option<Subtree> {
        let (dir, name) = split(path)?;
        let known = self.dirs.get_mut(dir)?.names.remove(name)?;
        let below = if known.is_dir {
            self.below(path)
        } else {
            Vec::new()
        };
        let mut dirs = Vec::with_capacity(below.len());
        for path_below in below {
            if let Some(mut dir) = self.dirs.remove(&path_below) {
                // It may have been found elsewhere already.
                if self.paths.get(&dir.wd) == Some(&path_below) {
                    self.paths.remove(&dir.wd);
                } else {
                    dir.wd = NONE;
                }
                let inner = path_below.strip_prefix(path).unwrap_or(&path_below);
                dirs.push((inner.to_owned(), dir));
            }
        }
        Some(Subtree { known, dirs })
    }

    /// Puts an entry at a path, with all that is below it. Returns the directories of which the
    /// kernel tells nothing by now.
    pub(super) fn put(&mut self, path: &Path, subtree: Subtree) -> Vec<PathBuf> {
        let mut unwatched = Vec::new();
        self.insert(path, subtree.known);
        for (inner, dir) in subtree.dirs {
            let path = if inner.as_os_str().is_empty() {
                path.to_owned()
            } else {
                path.join(inner)
            };
            if dir.wd == NONE {
                unwatched.push(path.clone());
            } else {
                self.paths.insert(dir.wd, path.clone());
            }
            self.dirs.insert(path, dir);
        }
        unwatched
    }

    /// The names in a directory.
    pub(super) fn names(&self, dir: &Path) -> Vec<OsString> {
        self.dirs
            .get(dir)
            .map(|dir| dir.names.keys().cloned().collect())
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
        tree.add_dir(Path::new(""), 0);
        for (wd, dir) in (1..).zip(dirs) {
            tree.insert(Path::new(dir), DIR);
            tree.add_dir(Path::new(dir), wd);
        }
        tree
    }

    #[test]
    fn a_directory_goes_with_all_below_it_and_nothing_else() {
        let mut tree = tree(&["a", "a/b", "a/b/c", "a.b", "ab"]);
        tree.insert(Path::new("a/b/file"), FILE);
        let taken = tree.take(Path::new("a")).unwrap();
        assert_eq!(taken.known, DIR);
        assert_eq!(taken.wds().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(tree.take(Path::new("a")).is_none());
        for (wd, path) in [
            (0, Some("")),
            (1, None),
            (3, None),
            (4, Some("a.b")),
            (5, Some("ab")),
        ] {
            assert_eq!(tree.path(wd), path.map(Path::new), "{wd}");
        }
        assert_eq!(tree.get(Path::new("a/b/file")), None);
        assert_eq!(tree.len(), 3);
    }

    #[test]
    fn a_directory_takes_what_is_in_it_along() {
        let mut tree = tree(&["a", "a/b", "x"]);
        tree.insert(Path::new("a/b/file"), FILE);
        let taken = tree.take(Path::new("a")).unwrap();
        tree.put(Path::new("x/y"), taken);
        assert_eq!(tree.path(1), Some(Path::new("x/y")));
        assert_eq!(tree.path(2), Some(Path::new("x/y/b")));
        assert_eq!(tree.get(Path::new("x/y/b/file")), Some(FILE));
        assert_eq!(tree.get(Path::new("x/y")), Some(DIR));
        assert_eq!(tree.get(Path::new("a")), None);
    }

    #[test]
    fn another_directory_at_a_path_takes_its_place() {
        let mut tree = tree(&["a"]);
        assert_eq!(tree.add_dir(Path::new("a"), 1), None);
        assert_eq!(tree.add_dir(Path::new("a"), 9), Some(1));
        assert_eq!((tree.path(1), tree.path(9)), (None, Some(Path::new("a"))));
    }
}
