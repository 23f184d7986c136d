//! Removes what crashed starts leave behind: each leaves 4 MiB of measurements in the profile, and a
//! dump of its memory in the home.
//!
//! The launcher may be root while the folders are the browser's user's: nothing here follows a
//! link, and only what has Chromium's own names goes.

use std::path::Path;

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, statat, unlinkat},
    io::Errno,
};

/// The folder of the measurements, in the profile.
const METRICS: &str = "BrowserMetrics";
/// The folder of the dumps, in the home.
const DUMPS: [&str; 4] = [".config", "chromium", "Crash Reports", "pending"];
/// How many files of dumps stay, each of which has two: to find out what went wrong.
const DUMPS_KEPT: usize = 4;

/// Removes it. A failure leaves litter, and harms nothing.
pub(super) fn remove(data_dir: &Path, home: Option<&Path>) {
    if let Ok(metrics) = open_in(data_dir, &[METRICS]) {
        let _ = prune(&metrics, &[".pma"], 0);
    }
    if let Some(Ok(dumps)) = home.map(|home| open_in(home, &DUMPS)) {
        let _ = prune(&dumps, &[".dmp", ".meta"], DUMPS_KEPT);
    }
}

fn open_in(base: &Path, below: &[&str]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = openat(CWD, base, flags, Mode::empty())?;
    for name in below {
        folder = openat(&folder, *name, flags, Mode::empty())?;
    }
    Ok(folder)
}

/// Removes the files that end like this, but for the newest.
fn prune(folder: &OwnedFd, ends: &[&str], kept: usize) -> Result<(), Errno> {
    let mut files = Vec::new();
    for entry in Dir::read_from(folder.as_fd())? {
        let name = entry?.file_name().to_owned();
        if ends
            .iter()
            .any(|end| name.to_bytes().ends_with(end.as_bytes()))
        {
            let status = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            files.push((status.st_mtime, name));
        }
    }
    files.sort();
    let surplus = files.len().saturating_sub(kept);
    for (_, name) in &files[..surplus] {
        unlinkat(folder, name, AtFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn measurements_and_old_dumps_go() {
        let home = tempfile::tempdir().unwrap();
        let profile = home.path().join("profile");
        let metrics = profile.join(METRICS);
        let dumps = DUMPS
            .iter()
            .fold(home.path().to_owned(), |path, name| path.join(name));
        fs::create_dir_all(&metrics).unwrap();
        fs::create_dir_all(&dumps).unwrap();
        fs::write(metrics.join("BrowserMetrics-1-2.pma"), "").unwrap();
        fs::write(metrics.join("note"), "").unwrap();
        for number in 0..20 {
            fs::write(dumps.join(format!("{number}.dmp")), "").unwrap();
        }
        remove(&profile, Some(home.path()));
        let names = |path: &Path| fs::read_dir(path).unwrap().count();
        assert_eq!(names(&metrics), 1);
        assert_eq!(names(&dumps), DUMPS_KEPT);
    }

    #[test]
    fn links_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let outside = home.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("x.pma"), "").unwrap();
        let profile = home.path().join("profile");
        fs::create_dir(&profile).unwrap();
        std::os::unix::fs::symlink(&outside, profile.join(METRICS)).unwrap();
        remove(&profile, None);
        assert!(outside.join("x.pma").exists());
    }
}
