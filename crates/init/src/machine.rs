//! What a machine needs before its services start: file systems, a name, an identity, folders.
//!
//! A container comes with most of it, a microVM with nothing. Whatever fails is logged in one
//! line, and the start goes on: the daemon says in `/readyz` what then does not work.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MsFlags, mount},
    sys::statvfs::statvfs,
    unistd::{AccessFlags, Pid, access, gethostname, sethostname},
};

use crate::{Config, zone};

/// Below this much room, in bytes, a profile cannot be written safely.
const LEAST_FREE: u64 = 64 * 1024 * 1024;
/// The name of a machine that was given none.
const NAME: &str = "browser";

/// Everyone's folder.
const TEMPORARY: &str = "/tmp";
/// The bit of a folder in which only its owner replaces a file.
const STICKY: u32 = 0o1000;

/// A file system that has to be there.
struct Wanted {
    /// What is only there when it is mounted.
    sign: &'static str,
    dir: &'static str,
    kind: &'static str,
    flags: MsFlags,
    options: &'static str,
}

/// In the order in which they can be mounted.
const FILE_SYSTEMS: [Wanted; 6] = [
    wanted("/proc/self", "/proc", "proc", NO_PROGRAMS, ""),
    wanted("/sys/kernel", "/sys", "sysfs", NO_PROGRAMS, ""),
    wanted("/dev/null", "/dev", "devtmpfs", MsFlags::MS_NOSUID, ""),
    wanted(
        "/dev/pts/ptmx",
        "/dev/pts",
        "devpts",
        MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        "gid=5,mode=620,ptmxmode=666",
    ),
    wanted("/dev/shm", "/dev/shm", "tmpfs", NO_DEVICES, "mode=1777"),
    wanted("/run", "/run", "tmpfs", NO_DEVICES, "mode=755"),
];
const NO_DEVICES: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);
const NO_PROGRAMS: MsFlags = NO_DEVICES.union(MsFlags::MS_NOEXEC);

const fn wanted(
    sign: &'static str,
    dir: &'static str,
    kind: &'static str,
    flags: MsFlags,
    options: &'static str,
) -> Wanted {
    Wanted {
        sign,
        dir,
        kind,
        flags,
        options,
    }
}

/// Mounts what is missing, where this is the first process of a machine. Nothing that looks into
/// /proc works before.
pub fn mount_missing() {
    if !is_first() {
        return;
    }
    for wanted in FILE_SYSTEMS {
        if Path::new(wanted.sign).exists() {
            continue;
        }
        if let Err(error) = mount_one(&wanted) {
            let Wanted { dir, kind, .. } = wanted;
            tracing::warn!(dir, kind, %error, "cannot mount, going on without");
        }
    }
    link_descriptors();
}

fn mount_one(wanted: &Wanted) -> io::Result<()> {
    fs::create_dir_all(wanted.dir)?;
    let mounted = mount(
        Some(wanted.kind),
        wanted.dir,
        Some(wanted.kind),
        wanted.flags,
        Some(wanted.options),
    );
    if wanted.dir == "/dev/shm" && mounted.is_err() {
        // A container without the privilege to mount. A folder works, and Chromium needs neither.
        fs::set_permissions(wanted.dir, fs::Permissions::from_mode(0o1777))?;
        tracing::info!("/dev/shm was missing and is a plain folder now");
        return Ok(());
    }
    Ok(mounted?)
}

/// What the kernel does not put into /dev.
fn link_descriptors() {
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        match symlink(target, link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                tracing::warn!(link, %error, "cannot make a link");
            }
            _ => {}
        }
    }
}

/// Makes folders, a name and an identity, and says what will not do.
pub(crate) fn prepare(config: &Config) {
    for folder in &config.folders {
        if let Err(error) = make_writable(folder) {
            let folder = folder.display();
            tracing::error!(%folder, %error, "cannot write in a folder: give it a volume or a tmpfs");
        }
        if is_first()
            && let Err(error) = close(folder)
        {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "any user can replace the files of a folder");
        }
    }
    if let Err(error) = give_name() {
        tracing::warn!(%error, "cannot name the machine");
    }
    if let Err(error) = give_identity(&[
        Path::new("/etc/machine-id"),
        Path::new("/var/lib/dbus/machine-id"),
    ]) {
        tracing::warn!(%error, "cannot give the machine an identity: D-Bus will not work");
    }
    if let Err(error) = zone::complete() {
        tracing::warn!(%error, "cannot give the machine a time zone: it is UTC");
    }
    check_room(config);
}

fn make_writable(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    Ok(access(folder, AccessFlags::W_OK)?)
}

/// A volume may come with a folder in which each user can replace the files of all, as a cluster
/// makes it. In /tmp they keep to their own, elsewhere they write nothing.
fn close(folder: &Path) -> io::Result<()> {
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & (STICKY | 0o002) != 0o002 {
        return Ok(());
    }
    let mode = if folder == Path::new(TEMPORARY) {
        mode | STICKY
    } else {
        mode & !0o022
    };
    fs::set_permissions(folder, fs::Permissions::from_mode(mode))
}

fn give_name() -> io::Result<()> {
    let name = gethostname()?;
    if name.is_empty() || name == "(none)" {
        sethostname(NAME)?;
    }
    Ok(())
}

/// Writes a new machine-id into the first of these files that can be written, if none has one.
fn give_identity(files: &[&Path]) -> io::Result<()> {
    let has_one = |file: &&Path| fs::read_to_string(file).is_ok_and(|id| id.trim().len() == 32);
    if files.iter().any(has_one) {
        return Ok(());
    }
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    let id: String = uuid.chars().filter(char::is_ascii_hexdigit).collect();
    let mut failed = io::ErrorKind::NotFound.into();
    for file in files {
        match write_identity(file, &id) {
            Ok(()) => return Ok(()),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn write_identity(file: &Path, id: &str) -> io::Result<()> {
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(file, format!("{id}\n"))
}

/// Says where there is less room than a browser needs.
fn check_room(config: &Config) {
    let Some(existing) = nearest_existing(&config.data_dir) else {
        return;
    };
    if let Ok(disk) = statvfs(&existing) {
        let free = disk.blocks_available() * disk.fragment_size();
        if free < LEAST_FREE {
            let folder = config.data_dir.display();
            tracing::error!(%folder, free_kib = free >> 10,
                "the volume of the profile is full: Chromium may not start, nor save anything");
        }
    }
}

fn nearest_existing(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .find(|path| path.exists())
        .map(Path::to_owned)
}

/// Whether this process is the first of its machine or container.
pub(crate) fn is_first() -> bool {
    Pid::this().as_raw() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("a/id"), dir.path().join("b"));
        let files = [first.as_path(), second.as_path()];
        give_identity(&files).unwrap();
        let id = fs::read_to_string(&first).unwrap();
        assert_eq!(id.trim().len(), 32);
        give_identity(&files).unwrap();
        assert_eq!(fs::read_to_string(&first).unwrap(), id);
        assert!(!second.exists());
    }

    #[test]
    fn an_identity_goes_where_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let (file, second) = (dir.path().join("file"), dir.path().join("b"));
        fs::write(&file, "").unwrap();
        give_identity(&[&file.join("below a file"), &second]).unwrap();
        assert_eq!(fs::read_to_string(&second).unwrap().trim().len(), 32);
        assert!(give_identity(&[&file.join("below a file")]).is_err());
    }

    #[test]
    fn an_open_folder_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        for (before, after) in [(0o777, 0o755), (0o1777, 0o1777), (0o770, 0o770)] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(before)).unwrap();
            close(dir.path()).unwrap();
            let mode = fs::metadata(dir.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, after, "{before:o}");
        }
    }

    #[test]
    fn a_folder_is_made_with_its_parents() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        make_writable(&folder).unwrap();
        assert!(folder.is_dir());
        fs::write(folder.join("file"), "").unwrap();
        assert!(make_writable(&folder.join("file/below")).is_err());
    }
}
