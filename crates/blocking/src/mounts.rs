//! Which file system a path is on, by the kernel's list of mounts: that never asks the file
//! system itself, which may not answer.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

const LIST: &str = "/proc/self/mountinfo";

/// A file system, by the numbers of its device. All zeros where the list cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Device {
    major: u32,
    minor: u32,
}

/// The list as it was last read. The kernel's, and so the process', not a pool's.
static MOUNTS: LazyLock<Mutex<Mounts>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Mounts {
    /// Kept open: the kernel tells on it that the list has changed.
    list: Option<File>,
    points: Vec<(PathBuf, Device)>,
}

impl Device {
    /// The file system that a path is on, if no part of it is a symbolic link.
    pub(crate) fn of(path: &Path) -> Self {
        let mut mounts = MOUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        if mounts.has_changed() {
            // Without the list all paths are of one file system.
            mounts.points = mounts.read().unwrap_or_default();
        }
        device_in(&mounts.points, path)
    }
}

impl Mounts {
    /// Whether the list has changed since it was read, or could not be read.
    fn has_changed(&self) -> bool {
        let Some(list) = &self.list else { return true };
        let mut asked = [PollFd::new(list, PollFlags::PRI)];
        poll(&mut asked, Some(&Timespec::default())) != Ok(0)
    }

    fn read(&mut self) -> io::Result<Vec<(PathBuf, Device)>> {
        let list = match &mut self.list {
            Some(list) => list,
            none => none.insert(File::open(LIST)?),
        };
        let mut text = Vec::new();
        list.rewind()?;
        list.read_to_end(&mut text)?;
        Ok(text
            .split(|&byte| byte == b'\n')
            .filter_map(point)
            .collect())
    }
}

/// A line of the list: `36 35 98:0 /root /mount/point options…`.
fn point(line: &[u8]) -> Option<(PathBuf, Device)> {
    let mut fields = line.split(|&byte| byte == b' ');
    let device = str::from_utf8(fields.nth(2)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let device = Device {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    };
    Some((unescape(fields.nth(1)?), device))
}

/// Blanks, newlines and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut name = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = (first == b'\\')
            .then(|| behind.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        name.push(escaped.unwrap_or(first));
        rest = &behind[if escaped.is_some() { 3 } else { 0 }..];
    }
    std::ffi::OsString::from_vec(name).into()
}

/// The mount with the longest path counts, and of those at one path the last.
fn device_in(points: &[(PathBuf, Device)], path: &Path) -> Device {
    let above = points.iter().filter(|(point, _)| path.starts_with(point));
    above
        .max_by_key(|(point, _)| point.as_os_str().len())
        .map(|(_, device)| *device)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_longest_mount_above_a_path_is_its_file_system() {
        let list = b"1 0 8:1 / / rw\n\
            2 1 0:40 / /mnt rw\n\
            3 2 0:41 / /mnt/a\\040b\\134 rw\n\
            4 1 0:42 / /mnt rw\n\
            \n\
            nonsense\n";
        let points: Vec<_> = list
            .split(|&byte| byte == b'\n')
            .filter_map(point)
            .collect();
        for (path, minor) in [
            ("/", 1),
            ("/mntx", 1),
            ("/mnt", 42),
            ("/mnt/a", 42),
            ("/mnt/a b\\", 41),
            ("/mnt/a b\\/c", 41),
        ] {
            assert_eq!(device_in(&points, Path::new(path)).minor, minor, "{path}");
        }
        assert_eq!(device_in(&[], Path::new("/")), Device::default());
    }

    #[test]
    fn what_the_list_says_is_what_the_file_system_says() {
        for path in ["/", "/proc/self", "/dev/null"] {
            let device = Device::of(Path::new(path));
            let found = std::fs::metadata(path).unwrap().dev();
            let (major, minor) = (rustix::fs::major(found), rustix::fs::minor(found));
            assert_eq!(device, Device { major, minor }, "{path}");
        }
    }
}
