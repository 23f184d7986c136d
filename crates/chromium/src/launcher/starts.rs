//! How often Chromium was started in vain. The more often in a row, the longer the launcher waits
//! before it tries again: a browser that is killed must be back at once, one that cannot start must
//! not keep the machine busy.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::process;

/// As many starts in vain come one after the other.
const AT_ONCE: u32 = 4;
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// The count, in a file that outlives the launcher, though not its supervisor.
#[derive(Debug)]
pub(super) struct Starts {
    file: PathBuf,
    /// Who runs the launcher: another supervisor begins anew.
    supervisor: String,
    failures: u32,
}

impl Starts {
    /// Waits as long as the last starts ask for, and counts this one as in vain until
    /// [`Self::worked`].
    pub(super) fn begin(file: &Path) -> Self {
        let mut starts = Self::read(file, process::supervisor());
        let pause = pause(starts.failures);
        if !pause.is_zero() {
            let (failures, seconds) = (starts.failures, pause.as_secs());
            tracing::warn!(failures, "the next start of Chromium waits for {seconds} s");
            // Somebody who restarts it meanwhile, having mended something, gets it at once.
            starts.worked();
            wait(pause);
        }
        starts.failures = starts.failures.saturating_add(1);
        starts.write();
        starts
    }

    /// Forgets the starts in vain.
    pub(super) fn worked(&self) {
        // One that was never written is not there.
        let _ = fs::remove_file(&self.file);
    }

    fn read(file: &Path, supervisor: String) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let count = text.trim_end().split_once(' ');
        let own = count.filter(|(_, of)| *of == supervisor);
        Self {
            file: file.to_owned(),
            failures: own.and_then(|(count, _)| count.parse().ok()).unwrap_or(0),
            supervisor,
        }
    }

    fn write(&self) {
        let text = format!("{} {}\n", self.failures, self.supervisor);
        if let Err(error) = fs::write(&self.file, text) {
            let file = self.file.display();
            tracing::warn!(%file, %error, "cannot count the starts of Chromium");
        }
    }
}

/// The wait before a start that so many in vain precede.
fn pause(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(AT_ONCE) else {
        return Duration::ZERO;
    };
    Duration::from_secs(1 << doublings.min(16)).min(LONGEST)
}

#[expect(clippy::disallowed_methods, reason = "no runtime lives yet")]
fn wait(pause: Duration) {
    std::thread::sleep(pause);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound() {
        let waits: Vec<u64> = (0..12).map(|n| pause(n).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }

    #[test]
    fn the_count_is_kept_until_a_start_works_or_the_supervisor_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("count");
        for failures in 1..=3 {
            assert_eq!(Starts::begin(&file).failures, failures);
        }
        let read = |supervisor: String| Starts::read(&file, supervisor).failures;
        assert_eq!(read(process::supervisor()), 3);
        assert_eq!(read("1 1".to_owned()), 0);
        Starts::begin(&file).worked();
        assert_eq!(Starts::begin(&file).failures, 1);
        fs::write(&file, "a lot").unwrap();
        assert_eq!(Starts::begin(&file).failures, 1);
    }
}
