//! What is known of a file without reading it.

use std::{
    ffi::OsString,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    Result,
    error::{Attempt, Error, OsKind},
    mode,
    owner::Names,
    path::name_of,
};

/// A file, directory or other entry of the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// The last component of the path.
    pub name: OsString,
    /// The whole path.
    pub path: PathBuf,
    /// The size in bytes; 0 for a directory.
    pub size_bytes: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// When its content last changed.
    pub mod_time: SystemTime,
    /// Kind and permissions as `ls -l` shows them.
    pub mode: String,
    /// Whether it is a symbolic link.
    pub is_symlink: bool,
    /// What the symbolic link says, as it stands there.
    pub symlink_target: Option<PathBuf>,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The owner's name, where it has one.
    pub owner: Option<String>,
    /// The group's name, where it has one.
    pub group: Option<String>,
    /// The inode.
    pub inode: u64,
}

impl FileInfo {
    /// The entry itself: a symbolic link is not followed. It is looked at by the path `at`, and
    /// told with `path`.
    pub(crate) fn of_entry(at: &Path, path: &Path, names: &mut Names) -> Result<Self> {
        let metadata = fs::symlink_metadata(at).attempt("look at", path)?;
        let target = link_target(at, &metadata);
        Ok(Self::new(path, &metadata, target, names))
    }

    /// What the path leads to. A link that leads nowhere is described itself.
    pub(crate) fn of_target(path: &Path, names: &mut Names) -> Result<Self> {
        let entry = fs::symlink_metadata(path).attempt("look at", path)?;
        let target = link_target(path, &entry);
        if target.is_none() {
            return Ok(Self::new(path, &entry, None, names));
        }
        match fs::metadata(path).attempt("look at", path) {
            Ok(metadata) => Ok(Self::new(path, &metadata, target, names)),
            Err(error) if error.os_kind() == Some(OsKind::NotFound) => {
                Ok(Self::new(path, &entry, target, names))
            }
            Err(error) => Err(error),
        }
    }

    /// An entry that a directory names but that cannot be looked at.
    pub(crate) fn unreadable(path: &Path) -> Self {
        Self {
            name: name_of(path).to_owned(),
            path: path.to_owned(),
            size_bytes: 0,
            is_dir: false,
            mod_time: SystemTime::UNIX_EPOCH,
            mode: "?---------".to_owned(),
            is_symlink: false,
            symlink_target: None,
            uid: 0,
            gid: 0,
            owner: None,
            group: None,
            inode: 0,
        }
    }

    fn new(
        path: &Path,
        metadata: &Metadata,
        symlink_target: Option<PathBuf>,
        names: &mut Names,
    ) -> Self {
        Self {
            size_bytes: if metadata.is_dir() { 0 } else { metadata.len() },
            is_dir: metadata.is_dir(),
            mod_time: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            mode: mode::symbolic(metadata.mode()),
            is_symlink: symlink_target.is_some(),
            symlink_target,
            uid: metadata.uid(),
            gid: metadata.gid(),
            owner: names.user(metadata.uid()),
            group: names.group(metadata.gid()),
            inode: metadata.ino(),
            ..Self::unreadable(path)
        }
    }
}

fn link_target(path: &Path, metadata: &Metadata) -> Option<PathBuf> {
    let target = metadata.is_symlink().then(|| fs::read_link(path))?;
    // A link that vanished in between is still told to be one.
    Some(target.unwrap_or_default())
}

/// The entity tag of a file's present content: another inode, size or time is another tag.
pub(crate) fn etag(metadata: &Metadata) -> String {
    let time = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    format!("\"{:x}-{:x}-{:x}\"", metadata.ino(), metadata.len(), time)
}

/// Where a failed look at an entry means that it has just gone.
pub(crate) fn has_gone(error: &Error) -> bool {
    matches!(error.os_kind(), Some(OsKind::NotFound))
}
