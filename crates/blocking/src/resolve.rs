//! Whether a path leads onto another file system than the one that it is written on. Everything
//! here blocks, but only as the file system does that the caller names.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat2, readlinkat},
    io::Errno,
};

use crate::mounts::Device;

/// A path may be a chain of so many symbolic links, as in the kernel's own limit.
const MAX_LINKS: usize = 40;

/// Where a path leads, if a symbolic link takes it off `device`. Up to that link, it is followed.
pub(crate) fn elsewhere(path: &Path, device: Device) -> Option<PathBuf> {
    if path.is_relative() {
        return None;
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Err(Errno::LOOP) => follow(path, device),
        // Usual, and where the kernel cannot be asked like this there is no better answer.
        _ => None,
    }
}

fn follow(path: &Path, device: Device) -> Option<PathBuf> {
    let mut left = components(path);
    let mut done = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == ".." {
            done.pop();
            continue;
        }
        done.push(name);
        let Ok(target) = readlinkat(CWD, &done, Vec::new()) else {
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return None;
        }
        done.pop();
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        left.extend(components(&target));
        if target.is_absolute() {
            done = PathBuf::from("/");
        }
        let mut whole = done.clone();
        for name in left.iter().rev() {
            if name == ".." {
                whole.pop();
            } else {
                whole.push(name);
            }
        }
        if Device::of(&whole) != device {
            return Some(whole);
        }
    }
    None
}

/// The components of a path, the first one last.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|it| match it {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}
