//! The directories that Chromium writes to.
//!
//! The launcher may be root while the directories are the browser's user's: nothing here
//! follows a symbolic link that this user could have put in its way.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::Path,
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchown, openat},
};

use super::{Error, user::Account};

/// Makes the profile's directory, with its parents, the account's own.
pub(super) fn make(path: &Path, account: &Account) -> Result<(), Error> {
    let failed = |source| Error::Directory {
        path: path.to_owned(),
        source,
    };
    make_missing(path, account).map_err(failed)?;
    let Some(ids) = account.switch_to() else {
        return Ok(());
    };
    if fs::metadata(path).map_err(failed)?.uid() == ids.0 {
        return Ok(());
    }
    // A volume that was mounted fresh, or a profile of a run as root.
    tracing::info!(path = %path.display(), user = %account.name, "handing the profile over");
    let directory = open_directory(CWD, path).map_err(failed)?;
    hand_over(&directory, ids).map_err(failed)
}

/// Gives the account its home, where that is a fresh file system of root's: programs make folders
/// there.
pub(super) fn give_home(account: &Account) {
    let (Some(home), Some(ids)) = (&account.home, account.switch_to()) else {
        return;
    };
    let is_roots = fs::metadata(home).is_ok_and(|found| found.uid() == 0);
    if !is_roots || !home.starts_with("/home") {
        return;
    }
    let given = open_directory(CWD, home.as_path()).and_then(|home| own(home.as_fd(), ids));
    if let Err(error) = given {
        let home = home.display();
        tracing::warn!(%home, %error, "the home cannot be handed over");
    }
}

/// Makes a directory that is the account's alone. Says whether it is there: one of another
/// owner is left as it is.
pub(super) fn make_private(path: &Path, account: &Account) -> Result<bool, Error> {
    let failed = |source| Error::Directory {
        path: path.to_owned(),
        source,
    };
    make_missing(path, account).map_err(failed)?;
    let directory = fs::symlink_metadata(path).map_err(failed)?;
    Ok(directory.is_dir() && directory.uid() == account.ids.0)
}

/// Makes the directory and those above it that are missing, each for the account.
fn make_missing(path: &Path, account: &Account) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_missing(parent, account)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    if let Some(ids) = account.switch_to() {
        own(open_directory(CWD, path)?.as_fd(), ids)?;
    }
    Ok(())
}

fn open_directory(parent: impl AsFd, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    Ok(openat(parent, path, flags, Mode::empty())?)
}

fn own(file: BorrowedFd<'_>, (uid, gid): (u32, u32)) -> io::Result<()> {
    Ok(fchown(
        file,
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(gid)),
    )?)
}

/// Gives a directory and all in it to a user.
fn hand_over(directory: &OwnedFd, ids: (u32, u32)) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            hand_over(&open_directory(directory, name)?, ids)?;
        } else {
            let (uid, gid) = (Uid::from_raw(ids.0), Gid::from_raw(ids.1));
            chownat(
                directory,
                name,
                Some(uid),
                Some(gid),
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
        }
    }
    // Last, so that a hand-over that was interrupted is taken up again.
    own(directory.as_fd(), ids)
}
