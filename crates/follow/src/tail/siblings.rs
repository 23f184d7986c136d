//! Files beside a path that were rotated away from it: `name.1`, `name-20260101`, `name_old`.

use std::cmp::{Ordering, Reverse};
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

/// What a rotator appends instead of a number or a date.
const ROTATED: [&str; 7] = ["old", "bak", "backup", "prev", "previous", "save", "orig"];

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
    /// The number of `name.<number>`. [`Numbers`] tells which is the newest.
    number: Option<u64>,
}

impl Sibling {
    /// A file that was held open, whatever its name is by now.
    pub(super) fn unnamed(metadata: &fs::Metadata) -> Self {
        Self {
            path: PathBuf::new(),
            id: FileId::of(metadata),
            born: metadata.created().ok(),
            length: metadata.len(),
            modified: modified(metadata),
            number: None,
        }
    }

    fn age(&self, order: Numbers) -> Age {
        Age {
            born: self.born,
            rank: order.rank(self.number),
            modified: self.modified,
        }
    }

    /// Whether both are the same file, under whatever names.
    fn is(&self, other: &Self) -> bool {
        (self.id, self.born) == (other.id, other.born)
    }

    /// Whether both are the same file, and nothing was written in between.
    fn is_unchanged(&self, other: &Self) -> bool {
        self.is(other) && (self.modified, self.length) == (other.modified, other.length)
    }
}

/// The file with this inode, born then: the path itself, or one that was rotated away.
pub(super) fn by_inode(
    path: &Path,
    inode: u64,
    born_ns: Option<u64>,
) -> io::Result<Option<OpenFile>> {
    for _ in 0..MAX_TRIES {
        let mut paths = vec![path.to_owned()];
        paths.extend(list(path)?.into_iter().map(|sibling| sibling.path));
        let found = paths.iter().find(|path| {
            fs::metadata(path).is_ok_and(|metadata| FileId::of(&metadata).inode == inode)
        });
        let Some(found) = found else { return Ok(None) };
        match OpenFile::open(found) {
            Ok(file) if file.is_same(inode, born_ns) => return Ok(Some(file)),
            // No two files have one number.
            Ok(file) if file.id().inode == inode => return Ok(None),
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
    let newest_at = newest.map(OpenFile::metadata).transpose()?;
    for _ in 0..MAX_TRIES {
        let siblings = list(path)?;
        let order = Numbers::of(&siblings);
        let newest = newest_at.as_ref().map(|metadata| {
            let id = FileId::of(metadata);
            let name = siblings.iter().find(|sibling| sibling.id == id);
            Age {
                born: metadata.created().ok(),
                rank: name.and_then(|sibling| order.rank(sibling.number)),
                modified: modified(metadata),
            }
        });
        let mut after: Vec<_> = siblings
            .iter()
            .filter(|sibling| !known.contains(&sibling.id))
            .filter(|sibling| !before.iter().any(|old| old.is(sibling)))
            .map(|sibling| (sibling.age(order), sibling))
            .filter(|(age, _)| newest.is_none_or(|newest| age.is_after(&newest)))
            .collect();
        // Within one tick of the clock, names with a date in them tell.
        after.sort_by(|(a, one), (b, other)| a.compare(b).then_with(|| one.path.cmp(&other.path)));
        let files: Option<Vec<_>> = after
            .iter()
            .map(|(_, sibling)| {
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
    /// Whether there are new ones, none of which was asked for.
    pub(super) others: bool,
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
    // Behind the copy found are those of what was written after the cut; without it, all are.
    let later = position.map_or(0, |at| at + 1);
    let others = position.is_none() && !copies.is_empty();
    let mut done = done.to_vec();
    done.extend(copies.iter().take(later).map(|(copy, _)| copy.clone()));
    let files = position.map(|at| copies.swap_remove(at).1);
    Ok(Copies {
        files: files.into_iter().collect(),
        done,
        others,
    })
}

/// The copies that were made since the last question, and where it is given since that time, but
/// for one of what is there now and begins with `data`.
pub(super) fn copies_before(
    path: &Path,
    data: &[u8],
    since: Option<SystemTime>,
    known: &[FileId],
    done: &[Sibling],
) -> io::Result<Copies> {
    let mut found = Copies {
        files: Vec::new(),
        done: done.to_vec(),
        others: false,
    };
    for (copy, file) in new_copies(path, known, done)? {
        let is_late = since.is_none_or(|since| copy.born.is_some_and(|born| born > since));
        if is_late && !file.begins_as(data)? {
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
        new.sort_by(|a, b| copied(a).cmp(&copied(b)));
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

/// Orders copies from the oldest to the newest: each was last written when it was made, or last
/// written before, where it keeps its times.
fn copied(sibling: &Sibling) -> impl Ord + '_ {
    (sibling.modified, Reverse(sibling.number), &sibling.path)
}

/// When a file came to the path.
#[derive(Debug, Clone, Copy)]
struct Age {
    /// When it was made.
    born: Option<SystemTime>,
    /// Its place among the numbered ones, the oldest first.
    rank: Option<i128>,
    modified: i128,
}

impl Age {
    /// A rename keeps the time of birth, which a late write does not change either. Its ticks are
    /// some milliseconds; within one, the numbers tell. Where both are missing, the last writes do.
    fn compare(&self, other: &Self) -> Ordering {
        let born = match (self.born, other.born) {
            (Some(own), Some(other)) => own.cmp(&other),
            _ => Ordering::Equal,
        };
        let rank = || match (self.rank, other.rank) {
            (Some(own), Some(other)) => own.cmp(&other),
            _ => self.modified.cmp(&other.modified),
        };
        born.then_with(rank)
    }

    /// Whether it came after the one that is read. In doubt it did.
    fn is_after(&self, newest: &Self) -> bool {
        match self.compare(newest) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => self.rank.is_none() || newest.rank.is_none(),
        }
    }
}

/// Which way the numbers of `name.<number>` run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// `name.1` is the newest, and each rotation renames them all.
    Fall,
    /// The highest is the newest: a count that goes on, a date, seconds.
    Rise,
}

impl Numbers {
    /// As the times of birth tell. Without any, they fall, which is the common way.
    fn of(siblings: &[Sibling]) -> Self {
        let mut numbered: Vec<_> = siblings
            .iter()
            .filter_map(|sibling| Some((sibling.born?, sibling.number?)))
            .collect();
        numbered.sort_unstable();
        let rises = |pair: &[(SystemTime, u64)]| match pair {
            [(one, low), (other, high)] if one != other => i64::from(low < high) * 2 - 1,
            _ => 0,
        };
        if numbered.windows(2).map(rises).sum::<i64>() > 0 {
            Self::Rise
        } else {
            Self::Fall
        }
    }

    fn rank(self, number: Option<u64>) -> Option<i128> {
        let number = i128::from(number?);
        Some(if self == Self::Rise { number } else { -number })
    }
}

/// Whether a rotator makes such names out of a log's: `.1`, `-20260101`, `_old`. A log of its own,
/// as `mail.err` is beside `mail`, has another.
fn is_rotation(suffix: &str) -> bool {
    let Some(rest) = suffix.strip_prefix(['.', '-', '_']) else {
        return false;
    };
    let word = rest.split(['.', '-', '_']).next().unwrap_or(rest);
    rest.starts_with(|first: char| first.is_ascii_digit())
        || ROTATED.iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Regular, uncompressed files named as rotated ones of `path`.
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
        if !is_rotation(suffix) {
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
                number: suffix
                    .strip_prefix('.')
                    .and_then(|number| number.parse().ok()),
                ..Sibling::unnamed(&metadata)
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
