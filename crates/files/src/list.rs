//! Listing directories, in pages where that is asked for.
//!
//! Entries come in the order of their names' bytes, a directory right before what is in it. A
//! cursor names the last entry that was given, so that a page is right even when entries come
//! and go in between.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    vec,
};

use crate::{
    Error, FileInfo, Files, FsPath, Result, blocking, descent::Descent, error::Attempt,
    info::has_gone, owner::Names, path::is_plain,
};
use browserd_blocking::progress;

const ACTION: &str = "list";
/// The bytes of a path that the kernel takes, its end included (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;
/// A page has no more entries than this, so that memory has a bound.
pub const MAX_PAGE_ENTRIES: usize = 100_000;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Whether what is in subdirectories is listed too. Symbolic links are not followed.
    pub recursive: bool,
    /// How many entries at most; [`MAX_PAGE_ENTRIES`] without, and at most.
    pub limit: Option<usize>,
    /// Goes on behind the page that gave this out.
    pub cursor: Option<String>,
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The entries.
    pub entries: Vec<FileInfo>,
    /// Where the next page begins, if there is one.
    pub next_cursor: Option<String>,
}

impl Files {
    /// Lists a directory. An entry that cannot be looked at is listed with what is known of it;
    /// a subdirectory that cannot be read, without what is in it.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect but that the listing is made for nobody.
    pub async fn list(&self, path: &FsPath, options: ListOptions) -> Result<Listing> {
        let root = path.as_path().to_owned();
        let shared = std::sync::Arc::clone(&self.shared);
        let pools = &self.shared.pools;
        let pool = if options.recursive {
            &pools.trees
        } else {
            &pools.steps
        };
        blocking(pool, path.as_path(), move || {
            let listing = list(&root, &options)?;
            shared.sweep_once(&root);
            Ok(listing)
        })
        .await
    }

    /// What is known of a file or directory. A symbolic link is followed, and told of.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn info(&self, path: &FsPath) -> Result<FileInfo> {
        let target = path.as_path().to_owned();
        blocking(&self.shared.pools.steps, path.as_path(), move || {
            FileInfo::of_target(&target, &mut Names::default())
        })
        .await
    }
}

fn list(root: &Path, options: &ListOptions) -> Result<Listing> {
    let cursor = options.cursor.as_deref().map(decode).transpose()?;
    let limit = options
        .limit
        .map_or(MAX_PAGE_ENTRIES, |limit| limit.min(MAX_PAGE_ENTRIES));
    let mut page = Page {
        recursive: options.recursive,
        // One more than asked for tells whether there is a next page.
        room: limit + 1,
        entries: Vec::new(),
        names: Names::default(),
    };
    let resume: Vec<&OsStr> = cursor.iter().flat_map(|path| path.iter()).collect();
    page.walk(root, &resume)?;
    let mut entries = page.entries;
    let next_cursor = if entries.len() > limit {
        entries.truncate(limit);
        let last = entries.last().map(|(path, _)| path);
        last.and_then(|path| path.strip_prefix(root).ok())
            .map(encode)
    } else {
        None
    };
    Ok(Listing {
        entries: entries.into_iter().map(|(_, info)| info).collect(),
        next_cursor,
    })
}

struct Page {
    recursive: bool,
    room: usize,
    entries: Vec<(PathBuf, FileInfo)>,
    names: Names,
}

/// What is still to be looked at in a directory.
struct Level<'a> {
    names: vec::IntoIter<OsString>,
    /// The way to the entry behind which to go on, from this directory.
    resume: &'a [&'a OsStr],
}

impl Page {
    /// Adds what is in a directory, behind the entry that `resume` leads to.
    fn walk(&mut self, root: &Path, resume: &[&OsStr]) -> Result<()> {
        let mut descent = Descent::open(root).attempt(ACTION, root)?;
        let mut dir = root.to_owned();
        let names = descent.names().attempt(ACTION, root)?.into_iter();
        let mut levels = vec![Level { names, resume }];
        while let Some(level) = levels.last_mut() {
            progress();
            if self.entries.len() >= self.room {
                break;
            }
            let Some(name) = level.names.next() else {
                levels.pop();
                dir.pop();
                // Nothing of a directory that is gone can be looked at any more.
                while descent.leave().is_err() {
                    levels.pop();
                    dir.pop();
                }
                continue;
            };
            let Some(resume) = self.visit(&descent, &dir, &name, level.resume) else {
                continue;
            };
            if descent.enter(&name).is_ok() {
                let names = descent.names().unwrap_or_default().into_iter();
                levels.push(Level { names, resume });
                dir.push(&name);
            }
        }
        Ok(())
    }

    /// Adds an entry, unless it comes before the place to go on from. Returns where to go on in
    /// it, where what is in it is to be listed.
    fn visit<'a>(
        &mut self,
        descent: &Descent,
        dir: &Path,
        name: &OsStr,
        resume: &'a [&'a OsStr],
    ) -> Option<&'a [&'a OsStr]> {
        let path = dir.join(name);
        // By a descriptor a path of any length is found, at twice the time.
        let at = if self.recursive || path.as_os_str().len() >= LONGEST_PATH {
            Cow::Owned(descent.path_of(name))
        } else {
            Cow::Borrowed(path.as_path())
        };
        if let Some((first, rest)) = resume.split_first() {
            if name < *first {
                return None;
            }
            if name == *first {
                // Given already, but maybe not all that is in it.
                let is_dir = || fs::symlink_metadata(&at).is_ok_and(|it| it.is_dir());
                return (self.recursive && is_dir()).then_some(rest);
            }
        }
        let info = match FileInfo::of_entry(&at, &path, &mut self.names) {
            Ok(info) => info,
            Err(error) if has_gone(&error) => return None,
            Err(_) => FileInfo::unreadable(&path),
        };
        let enter = info.is_dir && self.recursive;
        self.entries.push((path, info));
        enter.then_some(&[])
    }
}

/// A cursor is the last entry's path in the directory, in hexadecimal: names need not be UTF-8.
fn encode(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn decode(cursor: &str) -> Result<PathBuf> {
    let digits = cursor.as_bytes();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    let path = PathBuf::from(OsString::from_vec(bytes.unwrap_or_default()));
    if !digits.len().is_multiple_of(2) || path.as_os_str().is_empty() || !is_plain(&path) {
        return Err(Error::InvalidCursor);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_that_was_not_given_out_is_refused() {
        for cursor in ["", "zz", "6", "2f", "2e2e", "612f2e2e", "é"] {
            assert!(
                matches!(decode(cursor), Err(Error::InvalidCursor)),
                "{cursor}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back_to_its_entry(
            names in prop::collection::vec("[^/\\x00.]{1,8}", 1..4),
        ) {
            let path: PathBuf = names.iter().collect();
            prop_assert_eq!(decode(&encode(&path)).unwrap(), path);
        }
    }

    proptest! {
        // Each makes directories and lists them many times.
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Whatever the page size, the pages together are the whole.
        #[test]
        fn pages_join(
            paths in prop::collection::btree_set("[ab]{1,2}(/[ab]{1,2}){0,2}", 1..12),
            limit in 1usize..5,
        ) {
            let dir = tempfile::tempdir().unwrap();
            for path in &paths {
                fs::create_dir_all(dir.path().join(path)).unwrap();
            }
            let all = list(dir.path(), &ListOptions { recursive: true, ..Default::default() });
            let all = all.unwrap().entries;
            let mut pages = Vec::new();
            let mut cursor = None;
            loop {
                let options = ListOptions { recursive: true, limit: Some(limit), cursor };
                let page = list(dir.path(), &options).unwrap();
                prop_assert!(page.entries.len() <= limit);
                pages.extend(page.entries);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            prop_assert_eq!(pages, all);
        }
    }
}
