//! Where a write really goes: behind symbolic links, into a directory that is made if missing.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, Metadata, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use crate::{
    Mode, Result,
    error::{Attempt, Error},
};

/// A path may be a chain of so many symbolic links, as in the kernel's own limit.
const MAX_LINKS: usize = 40;

/// A file that is to be written.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its directory, which exists.
    pub(crate) dir: PathBuf,
    /// Its name there.
    pub(crate) name: OsString,
    /// What is there now.
    pub(crate) existing: Option<Metadata>,
}

impl Target {
    /// Follows the links of `path` and makes the directory where it is missing.
    pub(crate) fn resolve(path: &Path, action: &'static str) -> Result<Self> {
        let (path, existing) = follow(path).attempt(action, path)?;
        let dir = path.parent().unwrap_or_else(|| Path::new("/"));
        if existing.is_none() {
            make_parents(dir)?;
        }
        let name = path
            .file_name()
            .ok_or(Errno::ISDIR)
            .attempt(action, &path)?;
        Ok(Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            existing,
        })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// Whether the content can be replaced, and is not a device's.
    pub(crate) fn is_device(&self) -> io::Result<bool> {
        let Some(existing) = &self.existing else {
            return Ok(false);
        };
        let kind = existing.file_type();
        if kind.is_dir() {
            return Err(Errno::ISDIR.into());
        }
        if kind.is_fifo() || kind.is_socket() {
            return Err(Errno::NXIO.into());
        }
        Ok(kind.is_char_device() || kind.is_block_device())
    }
}

/// The last of a chain of links, and what is there.
fn follow(path: &Path) -> io::Result<(PathBuf, Option<Metadata>)> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = fs::read_link(&path)?;
                // The kernel resolves what is left of links and `..` in the directory part.
                path = path.parent().unwrap_or_else(|| Path::new("/")).join(target);
                if path.file_name().is_none() {
                    path = fs::canonicalize(&path)?;
                }
            }
            Ok(metadata) => return Ok((path, Some(metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((path, None)),
            Err(error) => return Err(error),
        }
    }
    Err(Errno::LOOP.into())
}

/// Makes a directory and those above it, each rwxr-xr-x whatever the umask.
pub(crate) fn make_parents(dir: &Path) -> Result<()> {
    make(dir).map_err(|(path, source)| Error::os("make the directory", &path, source))
}

fn make(dir: &Path) -> std::result::Result<(), (PathBuf, io::Error)> {
    let mut missing = Vec::new();
    for above in dir.ancestors() {
        match fs::metadata(above) {
            Ok(metadata) if metadata.is_dir() => break,
            Ok(_) => return Err((above.to_owned(), Errno::NOTDIR.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(above),
            Err(error) => return Err((above.to_owned(), error)),
        }
    }
    for path in missing.into_iter().rev() {
        let mode = Mode::DIRECTORY.bits();
        match DirBuilder::new().mode(mode).create(path) {
            Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(|error| (path.to_owned(), error))?,
            // Another call was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err((path.to_owned(), error)),
        }
    }
    Ok(())
}
