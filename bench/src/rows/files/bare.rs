//! Durable writes and listings, against the system calls alone: what they cost at least.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

use nix::unistd::{Gid, Group, Uid, User};
use serde::Serialize;
use tempfile::TempDir;

use super::{MEBIBYTE, Place, seconds};
use crate::{
    Bench,
    row::{Bar, Row},
    stats::{median, take_turns},
};

/// 1 MiB in that is on the disk when it is answered.
pub(crate) fn write_1m(bench: &Bench) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    // Beside this program, where builds are: on a disk, unlike the rest.
    let folder = TempDir::with_prefix_in("browserd-bench-", crate::target_folder()?)?;
    let path = |name: &str| folder.path().join(name);
    let content = vec![7; MEBIBYTE];
    let mut wire = place.wire()?;
    let target = format!("/fs/write_file?path={}", path("ours").display());
    let ours = || wire.put(&target, MEBIBYTE);
    let peer = || write(&path("temporary"), &path("peers"), &content);
    against(bench, 1.3, ours, peer)
}

/// A folder of a thousand files.
pub(crate) fn list_1000(bench: &Bench) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    let folder = place.path("many");
    fs::create_dir(&folder)?;
    for n in 0..1000 {
        fs::write(folder.join(format!("file-{n}")), "")?;
    }
    let mut wire = place.wire()?;
    let target = place.target("/fs/list_files", "many");
    let ours = || wire.get(&target).map(drop);
    against(bench, 1.5, ours, || list(&folder).map(drop))
}

fn against(
    bench: &Bench,
    bar: f64,
    mut ours: impl FnMut() -> anyhow::Result<()>,
    mut peer: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Row> {
    let mut round = |is_ours: &mut bool| {
        let samples: anyhow::Result<Vec<_>> = (0..5)
            .map(|_| Ok(seconds(|| if *is_ours { ours() } else { peer() })? * 1e3))
            .collect();
        Ok(median(&samples?))
    };
    let mut sides = [false, true];
    take_turns(&mut sides, 2, &mut round)?;
    let figures = take_turns(&mut sides, bench.rounds(40, 5), &mut round)?;
    let (peer, ours) = (median(&figures[0]), median(&figures[1]));
    Ok(Row::against("ms", ours, peer, Bar::RatioAtMost(bar)).note("p50"))
}

fn write(temporary: &Path, path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    Ok(())
}

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
fn list(folder: &Path) -> anyhow::Result<Vec<u8>> {
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
