//! The services, as supervisord knows them. One that has ended and is not back makes the machine
//! not ready; one that a person stopped does not, nor does a first start, whose outcome the other
//! parts tell.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use browserd_api::Part;
use browserd_blocking::Pool;
use browserd_supervisor::{Client, Error, Process, ProcessState, State};

/// How much of a log is looked at for the reason of an end, in bytes.
const TAIL: u64 = 16 * 1024;
/// Begins the line in which a command of this program says why it ended. Nothing else of a log is
/// shown: /readyz is for everybody, and pages write into Chromium's.
const OWN: &str = "browserd: ";
/// The same in the middle of a log.
const OWN_LINE: &str = "\nbrowserd: ";
/// What Chromium says once it can be connected to.
const CAME_UP: &str = "\nDevTools listening on ";

/// Asks supervisord for itself and for its programs.
pub(super) async fn check(supervisor: &Client, pool: &Pool) -> Result<Part, Error> {
    let state = supervisor.state().await?;
    if state != State::Running {
        return Ok(Part {
            ready: false,
            detail: format!("supervisord is {state}"),
        });
    }
    let processes = supervisor.processes().await?;
    // All logs in one go: a change of threads for each step took more time than all the rest.
    let logs = processes.iter().find_map(|it| it.stdout_log.clone());
    let lacking = pool.run(logs.unwrap_or_default(), move || {
        processes.iter().filter_map(lack).collect::<Vec<_>>()
    });
    let lacking = lacking
        .await
        .unwrap_or_else(|error| vec![format!("the logs cannot be read: {error}")]);
    Ok(Part {
        ready: lacking.is_empty(),
        detail: if lacking.is_empty() {
            "supervisord is running".to_owned()
        } else {
            lacking.join("; ")
        },
    })
}

/// What is wrong with a program, and why.
fn lack(process: &Process) -> Option<String> {
    let log = log(process).unwrap_or_default();
    let trouble = trouble(process, &log)?;
    let reason = reason(&log).unwrap_or_default();
    Some(format!("{} {trouble}{reason}", process.name))
}

/// What is wrong with a program, of whose log the end is given.
fn trouble(process: &Process, log: &str) -> Option<String> {
    let ended = match process.exit_status {
        // supervisord's word for a signal.
        -1 => "was killed".to_owned(),
        status => format!("ended with status {status}"),
    };
    match process.state {
        // Chromium's launcher runs, to supervisord, while it waits for what it needs.
        ProcessState::Running => {
            let last = |sign| log.rfind(sign);
            let ended = if log.starts_with(OWN) {
                Some(0)
            } else {
                last(OWN_LINE)
            };
            let is_down = ended.is_some_and(|ended| last(CAME_UP).is_none_or(|up| up < ended));
            is_down.then(|| "ended and has not come up again".to_owned())
        }
        ProcessState::Stopped | ProcessState::Stopping => None,
        ProcessState::Starting => {
            (process.stopped_at > 0).then(|| format!("{ended} and is starting again"))
        }
        // A program that does its work once and is done.
        ProcessState::Exited => (process.exit_status != 0).then_some(ended),
        ProcessState::Backoff => Some(format!("{ended} and will be started again")),
        ProcessState::Fatal => Some(match &process.spawn_error {
            Some(error) => format!("cannot be started: {error}"),
            None => format!("{ended} too often"),
        }),
        ProcessState::Unknown => Some("is in a state that supervisord does not know".to_owned()),
    }
}

/// Why a program that is one of this program's commands ended.
fn reason(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.starts_with(OWN))?;
    Some(format!(" ({})", &line[OWN.len()..]))
}

/// The end of a program's log.
fn log(process: &Process) -> Option<String> {
    tail(process.stdout_log.as_deref()?).ok()
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(state: ProcessState, exit_status: i64, stopped_at: i64) -> Process {
        Process {
            name: "x".to_owned(),
            group: "x".to_owned(),
            state,
            pid: None,
            exit_status,
            started_at: 1,
            stopped_at,
            stdout_log: None,
            stderr_log: None,
            spawn_error: None,
            description: String::new(),
        }
    }

    #[test]
    fn only_what_has_failed_is_trouble() {
        for (state, status, stopped_at, expected) in [
            (ProcessState::Running, 1, 5, None),
            (ProcessState::Stopped, 0, 5, None),
            (ProcessState::Starting, 0, 0, None),
            (
                ProcessState::Starting,
                -1,
                5,
                Some("was killed and is starting again"),
            ),
            (ProcessState::Exited, 0, 5, None),
            (ProcessState::Exited, 1, 5, Some("ended with status 1")),
            (
                ProcessState::Backoff,
                1,
                5,
                Some("ended with status 1 and will be started again"),
            ),
            (
                ProcessState::Fatal,
                2,
                5,
                Some("ended with status 2 too often"),
            ),
        ] {
            let trouble = trouble(&process(state, status, stopped_at), "");
            assert_eq!(trouble.as_deref(), expected, "{state:?}");
        }
    }

    #[test]
    fn one_that_still_waits_for_what_ended_it_is_trouble() {
        let running = process(ProcessState::Running, 0, 5);
        let waiting = "browserd: port 1 is in use\n";
        let told = trouble(&running, waiting);
        assert_eq!(told.as_deref(), Some("ended and has not come up again"));
        let trying = format!("{waiting}starting Chromium\n[1:1] a crash\n");
        assert!(trouble(&running, &trying).is_some());
        let up = format!("{trying}\nDevTools listening on ws://x\n");
        assert_eq!(trouble(&running, &up), None);
    }

    #[test]
    fn the_reason_is_the_last_line_of_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let text = "browserd: old\nbrowserd: port 1 is in use\n[1:1:INFO:CONSOLE] secret\n";
        std::fs::write(&path, text).unwrap();
        let ended = Process {
            stdout_log: Some(path),
            ..process(ProcessState::Exited, 1, 5)
        };
        let log = log(&ended).unwrap();
        assert_eq!(reason(&log).as_deref(), Some(" (port 1 is in use)"));
        assert_eq!(reason("secret\n"), None);
    }
}
