//! A mount whose server never answers: a FUSE file system of which the test is the server.

use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::case::Lacking;

const DEVICE: &str = "/dev/fuse";

/// Whoever touches what is below [`Hung::path`] waits until this is dropped. The test itself must
/// not.
#[derive(Debug)]
pub struct Hung {
    path: PathBuf,
    /// Closed, it fails all calls that wait.
    server: Option<File>,
    _folder: TempDir,
}

impl Hung {
    /// Mounts it in a directory of its own. Where that is not allowed, the test is skipped.
    pub fn mount() -> anyhow::Result<Self> {
        let lacking = |what: &str| Lacking(format!("{DEVICE} ({what})"));
        let mut device = OpenOptions::new();
        let server = device.read(true).write(true).open(DEVICE);
        let server = server.map_err(|error| lacking(&error.to_string()))?;
        let folder = TempDir::with_prefix("browserd-e2e-hung-")?;
        let path = folder.path().join("mount");
        std::fs::create_dir(&path)?;
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
            server.as_raw_fd()
        );
        let options = CString::new(options).context("mount options")?;
        let flags = MountFlags::NODEV | MountFlags::NOSUID;
        mount("hung", &path, "fuse", flags, options.as_c_str())
            .map_err(|errno| lacking(&errno.to_string()))?;
        Ok(Self {
            path,
            server: Some(server),
            _folder: folder,
        })
    }

    /// Its root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends it: all calls that wait fail.
    pub fn end(&mut self) {
        if self.server.is_some() {
            // What cannot be unmounted stays dead, and the machine's.
            let _ = unmount(&self.path, UnmountFlags::DETACH);
        }
        self.server = None;
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.end();
    }
}
