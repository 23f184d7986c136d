//! Gathers what the services say: from pipes, and from the logs that supervisord keeps.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use browserd_follow::{Config, Error, Event, Follower, Start};
use browserd_supervisor::{self as supervisor, Client, Process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::unix::pipe,
    sync::Notify,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::output::{Output, Source};

/// A longer line of a pipe comes in pieces.
const LINE_BYTES: u64 = 64 * 1024;

/// Where the logs ended when the machine started: what an earlier run of the same container
/// has said is not said again.
#[derive(Debug, Default)]
pub(crate) struct Places {
    ends: HashMap<PathBuf, Start>,
    followed: HashSet<PathBuf>,
}

impl Places {
    /// Takes note of the files in the folder.
    pub(crate) fn of(dir: &Path) -> Self {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let ends = entries.filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((entry.path(), Start::behind(&metadata)))
        });
        Self {
            ends: ends.collect(),
            followed: HashSet::new(),
        }
    }

    /// The logs of a program that are not followed yet.
    pub(crate) fn newly_found(&mut self, process: &Process) -> Vec<Config> {
        [&process.stdout_log, &process.stderr_log]
            .into_iter()
            .flatten()
            .filter(|path| self.followed.insert((*path).clone()))
            .map(|path| {
                let start = self.ends.get(path).cloned().unwrap_or(Start::Beginning);
                Config::new(path).start(start)
            })
            .collect()
    }
}

/// Finds the logs of the services, and passes them on.
#[derive(Debug)]
pub(crate) struct Gatherer {
    pub(crate) supervisor: Client,
    /// Told of each line that supervisord prints.
    pub(crate) spoke: Arc<Notify>,
    pub(crate) output: Output,
    pub(crate) places: Places,
    pub(crate) tasks: TaskTracker,
    /// The machine begins to stop: supervisord has no programs to tell any more.
    pub(crate) stopping: CancellationToken,
    /// Everything has stopped: what the logs now hold is all that they will.
    pub(crate) stopped: CancellationToken,
}

impl Gatherer {
    /// Asks supervisord for its programs whenever it prints a line, until the stop begins.
    ///
    /// It prints one when its socket is there, and when a program has started or ended. Its
    /// loop then waits for up to a second before it starts the first program, or the one that
    /// ended; a connection ends that wait. So this does not only find the logs of the services,
    /// it brings them up.
    pub(crate) async fn run(mut self) {
        let stopping = self.stopping.clone();
        let asking = async {
            loop {
                self.spoke.notified().await;
                match self.supervisor.processes().await {
                    Ok(services) => self.follow_all(&services),
                    // Not there yet, or no more.
                    Err(supervisor::Error::Unreachable { .. }) => {}
                    Err(error) => {
                        let error = describe(&error);
                        tracing::warn!(error, "cannot ask supervisord for its programs");
                    }
                }
            }
        };
        stopping.run_until_cancelled(asking).await;
    }

    fn follow_all(&mut self, services: &[Process]) {
        for service in services {
            for config in self.places.newly_found(service) {
                let source = self.output.source(&service.name, false);
                let stopped = self.stopped.clone();
                self.tasks.spawn(follow(config, source, stopped));
            }
        }
    }
}

/// Passes a log on until the stop, and then what is left of it.
async fn follow(config: Config, source: Source, stop: CancellationToken) {
    let path = config.path.clone();
    let mut place = config.start.clone();
    if let Some(Err(error)) = stop
        .run_until_cancelled(pass_on(config, &source, &mut place))
        .await
    {
        let (path, error) = (path.display(), describe(&error));
        tracing::warn!(%path, error, "log is not gathered");
        return;
    }
    let rest = Config::new(&path).start(place.clone()).once();
    if let Err(error) = pass_on(rest, &source, &mut place).await {
        let (path, error) = (path.display(), describe(&error));
        tracing::warn!(%path, error, "the end of a log is not gathered");
    }
}

/// Passes a log on to its end, if it has one. `place` is behind the last line passed on.
///
/// # Cancel safety
/// `place` stays right: a line that is not passed on comes again.
async fn pass_on(config: Config, source: &Source, place: &mut Start) -> Result<(), Error> {
    let path = config.path.clone();
    let mut follower = Follower::new(config)?;
    while let Some(event) = follower.next().await? {
        match event {
            Event::Line(line) => {
                source.send(&line.bytes).await;
                *place = line.behind();
            }
            Event::Gap { lost_bytes } => {
                tracing::warn!(path = %path.display(), ?lost_bytes, "lines of a log were lost");
            }
            Event::State(_) => {}
        }
    }
    Ok(())
}

/// Passes on what comes through a pipe, until its end, and tells of each line. The one who
/// writes is never held up.
///
/// # Cancel safety
/// What was read of a line may be lost.
pub(crate) async fn drain(printed: pipe::Receiver, source: Source, spoke: Arc<Notify>) {
    let mut reader = BufReader::new(printed);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut piece = (&mut reader).take(LINE_BYTES);
        match piece.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => source.offer(line.strip_suffix(b"\n").unwrap_or(&line)),
        }
        spoke.notify_one();
    }
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_log_is_followed_from_its_end_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chromium");
        fs::write(&path, "old\n").unwrap();
        let mut places = Places::of(dir.path());
        let process = process(&path);
        let found = places.newly_found(&process);
        let end = Start::behind(&fs::metadata(&path).unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].start, end);
        assert!(places.newly_found(&process).is_empty());
    }

    #[test]
    fn a_new_log_is_followed_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let mut places = Places::of(dir.path());
        let found = places.newly_found(&process(&dir.path().join("xvfb")));
        assert_eq!(found[0].start, Start::Beginning);
    }

    fn process(log: &Path) -> Process {
        Process {
            name: "x".to_owned(),
            group: "x".to_owned(),
            state: browserd_supervisor::ProcessState::Running,
            pid: None,
            exit_status: 0,
            started_at: 0,
            stopped_at: 0,
            stdout_log: Some(log.to_owned()),
            stderr_log: None,
            spawn_error: None,
            description: String::new(),
        }
    }
}
