//! The profile's lock: `SingletonLock`, a symbolic link to `<host>-<pid>` of the Chromium that
//! uses it (`chrome/browser/process_singleton_posix.cc`). A Chromium that finds the lock of
//! another host refuses to start, for ever, though that host may be yesterday's container.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, fstat, openat, unlinkat},
    system::uname,
};

use super::{
    Error,
    process::{self, CommandLine},
};

const LOCK: &str = "SingletonLock";
const FILES: [&str; 3] = [LOCK, "SingletonSocket", "SingletonCookie"];

/// Removes the lock, unless a living Chromium of this host holds it. What this launcher
/// started has been ended before.
pub(super) fn release(data_dir: &Path) -> Result<(), Error> {
    let lock = data_dir.join(LOCK);
    match fs::read_link(&lock) {
        Ok(owner) => {
            if let Some(pid) = living_owner(&owner, data_dir) {
                return Err(Error::ProfileInUse {
                    path: data_dir.to_owned(),
                    pid,
                });
            }
            tracing::info!(owner = %owner.display(), "removing the lock of a Chromium that is gone");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // No symbolic link: not made by Chromium, which could not start with it either.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        Err(source) => return Err(Error::Lock { path: lock, source }),
    }
    remove_socket_dir(data_dir);
    for path in FILES.map(|name| data_dir.join(name)) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Lock { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes the directory of the dead browser's socket: `SingletonSocket` links to
/// `<tmp>/org.chromium.Chromium.<random>/SingletonSocket`, and each crash leaves one behind.
///
/// The link is the browser's user's, and this may be root: so only what has the very names
/// that Chromium gives is removed, only from inside a directory that is the profile's owner's,
/// and without following links. A failure leaves litter and harms nothing.
fn remove_socket_dir(data_dir: &Path) {
    let Ok(socket) = fs::read_link(data_dir.join("SingletonSocket")) else {
        return;
    };
    let Some(dir) = socket
        .parent()
        .filter(|_| socket.ends_with("SingletonSocket"))
    else {
        return;
    };
    let is_chromiums = dir.file_name().is_some_and(|name| {
        name.as_encoded_bytes()
            .starts_with(b"org.chromium.Chromium.")
    });
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(opened) = openat(CWD, dir, flags, Mode::empty()) else {
        return;
    };
    let owners = (
        fs::metadata(data_dir).map(|found| found.uid()),
        fstat(&opened),
    );
    if let (Ok(profile), Ok(found)) = owners
        && is_chromiums
        && profile == found.st_uid
    {
        for name in ["SingletonSocket", "SingletonCookie"] {
            unlinkat(&opened, name, AtFlags::empty()).ok();
        }
        // It goes only when it is empty now.
        unlinkat(CWD, dir, AtFlags::REMOVEDIR).ok();
    }
}

fn living_owner(owner: &Path, data_dir: &Path) -> Option<i32> {
    let (host, pid) = owner.to_str()?.rsplit_once('-')?;
    let pid: i32 = pid.parse().ok()?;
    if uname().nodename().to_str().ok()? != host {
        return None;
    }
    let uses = process::is_browser(pid) && uses_profile(pid, data_dir);
    uses.then_some(pid)
}

/// Whether a Chromium holds this profile; its number may have been given to the browser of
/// another profile since, or to one of that browser's children.
fn uses_profile(pid: i32, data_dir: &Path) -> bool {
    let Some(line) = CommandLine::of(pid) else {
        return false;
    };
    if line.is_child() {
        return false;
    }
    let Some(its) = line.data_dir() else {
        // Its default profile may be this one.
        return true;
    };
    let resolved = |path: PathBuf| fs::canonicalize(&path).unwrap_or(path);
    let base = process::working_dir(pid).unwrap_or_default();
    resolved(base.join(its)) == resolved(data_dir.to_owned())
}
