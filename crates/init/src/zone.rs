//! The time zone of the machine: `/etc/localtime`, which every program follows that has no `TZ`.
//!
//! In the images it is a link to a link in `/run`, which can be changed where the root is read-only.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// What programs read.
const LOCAL: &str = "/etc/localtime";
/// Where zones are.
const ZONES: &str = "/usr/share/zoneinfo";
/// What some programs read the name from.
const NAME: &str = "/etc/timezone";
/// The zone of a machine that was given none.
const USUAL: &str = "Etc/UTC";

/// Whether there is a zone of this name. Where none are kept, nobody can say.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    let is_part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
        !part.is_empty() && part.chars().all(plain)
    };
    if !name.split('/').all(is_part) {
        return false;
    }
    let zones = Path::new(ZONES);
    zones.join(name).is_file() || !zones.is_dir()
}

/// Gives the machine its zone.
pub fn set_zone(name: &str) -> io::Result<()> {
    set(Path::new(LOCAL), name)?;
    // Of those who read this one, nobody depends on it.
    let _ = fs::write(NAME, format!("{name}\n"));
    Ok(())
}

/// Sees to it that there is a zone.
pub(crate) fn complete() -> io::Result<()> {
    let local = Path::new(LOCAL);
    if local.exists() || fs::symlink_metadata(local).is_err() {
        return Ok(());
    }
    set(local, USUAL)
}

fn set(local: &Path, name: &str) -> io::Result<()> {
    let link = changeable(local);
    let new = link.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(Path::new(ZONES).join(name), &new)?;
    // In one step: whoever reads it finds the one or the other.
    fs::rename(&new, &link)
}

/// The link to change: the one that it leads to outside of the zones, if any.
fn changeable(local: &Path) -> PathBuf {
    match fs::read_link(local) {
        Ok(target) if target.is_absolute() && !target.starts_with("/usr") => target,
        _ => local.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_told_from_other_names() {
        for zone in [
            "Europe/Berlin",
            "America/Argentina/Ushuaia",
            "Etc/GMT+5",
            "UTC",
        ] {
            assert!(is_zone(zone), "{zone}");
        }
        for other in [
            "",
            "Mars/Phobos",
            "../etc/passwd",
            "/etc/localtime",
            "Europe/",
            "CET-1CEST,M3",
        ] {
            assert!(!is_zone(other), "{other}");
        }
    }

    #[test]
    fn the_link_that_can_be_changed_is() {
        let dir = tempfile::tempdir().unwrap();
        let (local, run) = (dir.path().join("localtime"), dir.path().join("run"));
        symlink(&run, &local).unwrap();
        for zone in ["Europe/Berlin", "Asia/Tokyo"] {
            set(&local, zone).unwrap();
            assert_eq!(fs::read_link(&local).unwrap(), run);
            assert_eq!(fs::read_link(&run).unwrap(), Path::new(ZONES).join(zone));
        }
        let plain = dir.path().join("plain");
        fs::write(&plain, "").unwrap();
        set(&plain, "Asia/Tokyo").unwrap();
        assert!(fs::read_link(&plain).unwrap().ends_with("Asia/Tokyo"));
    }
}
