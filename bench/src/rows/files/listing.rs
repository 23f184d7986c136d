//! A folder read and serialised, with nothing around: what a listing costs at least.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

use nix::unistd::{Gid, Group, Uid, User};
use serde::Serialize;

/// The fields that the daemon tells of each entry.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    path: String,
    size_bytes: u64,
    is_dir: bool,
    mod_time: String,
    mode: String,
    is_symlink: bool,
    symlink_target: Option<String>,
    uid: u32,
    gid: u32,
    owner: Option<String>,
    group: Option<String>,
    inode: u64,
}

/// The JSON of a folder's entries, in the order of their names.
pub(super) fn bare(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let (mut users, mut groups) = (HashMap::new(), HashMap::new());
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let (uid, gid) = (metadata.uid(), metadata.gid());
        let owner = users.entry(uid).or_insert_with(|| {
            let user = User::from_uid(Uid::from_raw(uid));
            user.ok().flatten().map(|user| user.name)
        });
        let group = groups.entry(gid).or_insert_with(|| {
            let group = Group::from_gid(Gid::from_raw(gid));
            group.ok().flatten().map(|group| group.name)
        });
        entries.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            path: entry.path().to_string_lossy().into_owned(),
            size_bytes: metadata.len(),
            is_dir: metadata.is_dir(),
            mod_time: rfc3339(metadata.modified()?),
            mode: format!("-{:o}", metadata.mode() & 0o777),
            is_symlink: metadata.is_symlink(),
            symlink_target: None,
            uid,
            gid,
            owner: owner.clone(),
            group: group.clone(),
            inode: metadata.ino(),
        });
    }
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(serde_json::to_vec(&entries)?)
}

/// As long as the real thing, at less work.
fn rfc3339(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    format!("{:019}.{:09}Z", since.as_secs(), since.subsec_nanos())
}
