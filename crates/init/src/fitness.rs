//! Ways to run a machine in which it cannot work, however long one waits.

use std::{fs, path::PathBuf};

use nix::unistd::{AccessFlags, Uid, access};

use crate::Config;

/// The least number of processes and threads that a container has to be allowed. With one page the
/// machine has about 150, with five 194; below 200 Chromium runs into the limit.
const LEAST_TASKS: u64 = 256;
/// Where the limit is, by the version of cgroups.
const LIMITS: [&str; 2] = ["/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"];

/// What is wrong, in a line.
pub(crate) fn unfit(config: &Config) -> Option<String> {
    let folders = [&config.log_dir].into_iter().chain(&config.folders);
    let is_writable = |folder: &&PathBuf| access(*folder, AccessFlags::W_OK).is_ok();
    let closed = folders
        .filter(|folder| folder.is_dir())
        .find(|folder| !is_writable(folder));
    if let Some(folder) = closed.filter(|_| !Uid::effective().is_root()) {
        let (user, folder) = (Uid::effective(), folder.display());
        return Some(format!(
            "user {user} cannot write in {folder}: run the machine as root, without --user; \
             Chromium runs as the user kernel in any case"
        ));
    }
    let limits = LIMITS
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    // No number is no limit.
    let limit = limits.filter_map(|text| text.trim().parse().ok()).min();
    limit.and_then(too_few)
}

fn too_few(tasks: u64) -> Option<String> {
    (tasks < LEAST_TASKS).then(|| {
        format!(
            "the machine may have {tasks} processes and threads, and needs {LEAST_TASKS}: give it \
             a larger --pids-limit"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_when_it_is_too_low() {
        assert!(too_few(100).unwrap().contains("--pids-limit"));
        assert_eq!(too_few(LEAST_TASKS), None);
    }
}
