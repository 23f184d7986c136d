//! Files beside a path that were rotated away from it: `name.1`, `name-20260101`, `name_old`.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::FileId;
use super::file::{OpenFile, Past};
use super::start;

/// How often a directory is listed at most, while a rotation changes it.
const MAX_TRIES: usize = 16;
/// What a rotator appends when it compresses; such a file's bytes are not the log's.
const COMPRESSED: [&str; 6] = ["gz", "bz2", "xz", "zst", "lz4", "Z"];

/// A rotated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sibling {
    path: PathBuf,
    id: FileId,
    /// When the file was made, where the file system knows. Numbers of inodes are used again.
    born: Option<SystemTime>,
    length: u64,
    /// Time of the last write, in nanoseconds.
    modified: i128,
    /// The number of `name.<number>`: the higher, the older.
    number: Option<u64>,
}

impl Sibling {
    /// Whether both are the same file, under whatever names.
    fn is(&self, other: &Self) -> bool {
        (self.id, self.born) == (other.id, other.born)
    }

    /// Whether both are the same file, and nothing was written in between.
    fn is_unchanged(&self, other: &Self) -> bool {
        self.is(other) && (self.modified, self.length) == (other.modified, other.length)
    }
}

/// The file with this inode: the path itself, or one that was rotated away.
pub(super) fn by_inode(path: &Path, inode: u64) -> io::Result<Option<OpenFile>> {
    for _ in 0..MAX_TRIES {
        let mut paths = vec![path.to_owned()];
        paths.extend(list(path)?.into_iter().map(|sibling| sibling.path));
        let found = paths.iter().find(|path| {
            fs::metadata(path).is_ok_and(|metadata| FileId::of(&metadata).inode == inode)
        });
        let Some(found) = found else { return Ok(None) };
        match OpenFile::open(found) {
            Ok(file) if file.id().inode == inode => return Ok(Some(file)),
            // Renamed since.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The newest file with a line that contains `needle`, and where that line starts. If there is
/// none: the path's own file, and the start of its last line.
pub(super) fn last_match(path: &Path, needle: &[u8], max: usize) -> io::Result<(OpenFile, u64)> {
    let own = match OpenFile::open(path) {
        // What is written during the search is read afterwards.
        Ok(file) => {
            let length = file.metadata()?.len();
            match start::last_match(file.file(), length, needle, max)? {
                Some(offset) => return Ok((file, offset)),
                None => Ok((start::line_start(file.file(), length, max)?, file)),
            }
        }
        Err(error) => Err(error),
    };
    let mut siblings = list(path).unwrap_or_default();
    siblings.sort_by_key(|sibling| (Reverse(sibling.modified), sibling.number));
    for sibling in siblings {
        let Ok(file) = OpenFile::open(&sibling.path) else {
            continue;
        };
        let length = file.metadata()?.len();
        if let Ok(Some(offset)) = start::last_match(file.file(), length, needle, max) {
            return Ok((file, offset));
        }
    }
    own.map(|(offset, file)| (file, offset))
}

/// The rotated files that there are.
pub(super) fn present(path: &Path) -> Vec<Sibling> {
    list(path).unwrap_or_default()
}

/// The files that came to `path` after `newest`, the one there now included; oldest first and at
/// most `room`. `known` are those that need not be found, `before` those that were rotated away
/// before there was a first one.
pub(super) fn since(
    path: &Path,
    newest: Option<&OpenFile>,
    known: &[FileId],
    before: &[Sibling],
    room: usize,
) -> io::Result<Vec<OpenFile>> {
    let modified = match newest {
        Some(newest) => modified(&newest.metadata()?),
        None => i128::MIN,
    };
    for _ in 0..MAX_TRIES {
        let siblings = list(path)?;
        let number = newest
            .and_then(|newest| siblings.iter().find(|sibling| sibling.id == newest.id()))
            .and_then(|sibling| sibling.number);
        let mut after: Vec<_> = siblings
            .iter()
            .filter(|sibling| !known.contains(&sibling.id))
            .filter(|sibling| !before.iter().any(|old| old.is(sibling)))
            .filter(|sibling| match (number, sibling.number) {
                (Some(newest), Some(number)) => number < newest,
                // Its place among the numbers is lost: it was removed. Then the times tell.
                _ => sibling.modified >= modified,
            })
            .collect();
        after.sort_by(|a, b| age(a).cmp(&age(b)));
        let files: Option<Vec<_>> = after
            .iter()
            .map(|sibling| {
                OpenFile::open(&sibling.path)
                    .ok()
                    .filter(|f| f.id() == sibling.id)
            })
            .take(room)
            .collect();
        let last = OpenFile::open(path);
        // Renamed while being opened: look again.
        let (Some(mut files), true) = (files, ids(&list(path)?) == ids(&siblings)) else {
            continue;
        };
        let is_new = |last: &OpenFile| {
            !known.contains(&last.id()) && files.iter().all(|file| file.id() != last.id())
        };
        match last {
            Ok(last) if files.len() < room && is_new(&last) => files.push(last),
            Err(error) if files.is_empty() => return Err(error),
            // It has its place in the list by now, or there is none within a rotation.
            Ok(_) | Err(_) => {}
        }
        return Ok(files);
    }
    tracing::warn!(path = %path.display(), "log rotates faster than its files can be listed");
    Ok(Vec::new())
}

/// The copies that a rotator made before it cut the file.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Those to read, oldest first, each at its place.
    pub(super) files: Vec<OpenFile>,
    /// Those that cannot be a copy of what is to come.
    pub(super) done: Vec<Sibling>,
}

/// The copy of a file of which `past` was read. `done` are no such copies.
pub(super) fn copy_of(
    path: &Path,
    past: &Past,
    known: &[FileId],
    done: &[Sibling],
) -> io::Result<Copies> {
    let mut copies = new_copies(path, known, done)?;
    let position = copies
        .iter_mut()
        .position(|(_, file)| file.continues(past).unwrap_or(false));
    // Behind the copy found are those of what was written after the cut.
    let later = position.map_or(copies.len(), |at| at + 1);
    let mut done = done.to_vec();
    done.extend(copies.iter().take(later).map(|(copy, _)| copy.clone()));
    let files = position.map(|at| copies.swap_remove(at).1);
    Ok(Copies {
        files: files.into_iter().collect(),
        done,
    })
}

/// The copies that were made since, but for one of what is there now and begins with `data`.
pub(super) fn copies_before(
    path: &Path,
    data: &[u8],
    known: &[FileId],
    done: &[Sibling],
) -> io::Result<Copies> {
    let mut found = Copies {
        files: Vec::new(),
        done: done.to_vec(),
    };
    for (copy, file) in new_copies(path, known, done)? {
        if !file.begins_as(data)? {
            found.files.push(file);
            found.done.push(copy);
        }
    }
    Ok(found)
}

fn new_copies(
    path: &Path,
    known: &[FileId],
    done: &[Sibling],
) -> io::Result<Vec<(Sibling, OpenFile)>> {
    for _ in 0..MAX_TRIES {
        let siblings = list(path)?;
        let mut new: Vec<_> = siblings
            .iter()
            .filter(|sibling| !known.contains(&sibling.id))
            .filter(|sibling| !done.iter().any(|old| old.is_unchanged(sibling)))
            .cloned()
            .collect();
        new.sort_by(|a, b| age(a).cmp(&age(b)));
        let files: Option<Vec<_>> = new
            .into_iter()
            .map(|sibling| {
                let file = OpenFile::open(&sibling.path).ok()?;
                (file.id() == sibling.id).then_some((sibling, file))
            })
            .collect();
        // Renamed while being opened: look again.
        if let (Some(files), true) = (files, ids(&list(path)?) == ids(&siblings)) {
            return Ok(files);
        }
    }
    tracing::warn!(path = %path.display(), "log rotates faster than its files can be listed");
    Ok(Vec::new())
}

/// Orders from the oldest to the newest. Within one tick of the clock, names with a date in them
/// tell.
fn age(sibling: &Sibling) -> impl Ord + '_ {
    (Reverse(sibling.number), sibling.modified, &sibling.path)
}

/// Regular, uncompressed files named after `path`.
fn list(path: &Path) -> io::Result<Vec<Sibling>> {
    // Behind a symbolic link the rotation happens where the link leads to.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (Some(dir), Some(base)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let mut siblings = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(suffix) = name
            .as_encoded_bytes()
            .strip_prefix(base.as_encoded_bytes())
        else {
            continue;
        };
        let Ok(suffix) = std::str::from_utf8(suffix) else {
            continue;
        };
        if !suffix.starts_with(['.', '-', '_']) {
            continue;
        }
        if suffix
            .rsplit('.')
            .next()
            .is_some_and(|end| COMPRESSED.contains(&end))
        {
            continue;
        }
        // Symbolic links are not followed: one may point back to the log itself.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_file() {
            siblings.push(Sibling {
                path: entry.path(),
                id: FileId::of(&metadata),
                born: metadata.created().ok(),
                length: metadata.len(),
                modified: modified(&metadata),
                number: suffix
                    .strip_prefix('.')
                    .and_then(|number| number.parse().ok()),
            });
        }
    }
    Ok(siblings)
}

fn modified(metadata: &fs::Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

/// Which name is which file, in an order of its own.
fn ids(siblings: &[Sibling]) -> Vec<(&Path, u64)> {
    let mut ids: Vec<_> = siblings
        .iter()
        .map(|s| (s.path.as_path(), s.id.inode))
        .collect();
    ids.sort_unstable();
    ids
}
