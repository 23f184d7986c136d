//! What the tests share.

#![expect(
    clippy::disallowed_methods,
    reason = "a test hands its own environment on, and is told its size by it"
)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use browserd_process::{
    Config, Environment, Error, Event, Handle, Offsets, Outcome, Process, Program, Reader, Secrets,
    Stream, start,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A handle with its work, stopped when dropped.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) token: CancellationToken,
    pub(crate) work: tokio::task::JoinHandle<()>,
    _stop: DropGuard,
}

impl std::ops::Deref for Running {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

pub(crate) fn config() -> Config {
    let mut config = Config::new(Environment::without(&Secrets::new(), std::env::vars_os()));
    config.output_dir = std::env::temp_dir();
    config.switch.program = helper();
    config
}

/// What becomes another user; a copy of this program has it beside itself.
pub(crate) fn helper() -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_browserd-test-become"));
    let program = std::env::current_exe().unwrap();
    let beside = program.with_file_name(built.file_name().unwrap());
    if beside.exists() { beside } else { built }
}

/// A copy of this program, with what it needs, that any user may run.
pub(crate) fn copy_of_itself() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let open = Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), open).unwrap();
    let copy = directory.path().join("it");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let helper = helper();
    let beside = directory.path().join(helper.file_name().unwrap());
    fs::copy(&helper, beside).unwrap();
    (directory, copy.display().to_string())
}

pub(crate) fn running() -> Running {
    running_with(config())
}

pub(crate) fn running_with(config: Config) -> Running {
    let token = CancellationToken::new();
    let (handle, work) = start(config, token.clone()).unwrap();
    let work = tokio::runtime::Handle::current().spawn(work);
    Running {
        handle,
        _stop: token.clone().drop_guard(),
        token,
        work,
    }
}

pub(crate) fn sh(script: &str) -> Program {
    Program::new("sh").args(["-c", script])
}

pub(crate) fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn stdout(outcome: &Outcome) -> String {
    text(&outcome.stdout.bytes)
}

/// Waits until something is true. It is looked at often, and never slept for blindly.
pub(crate) async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_true() {
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// All output up to its end, by stream, with the bytes that gaps took.
#[derive(Debug, Default)]
pub(crate) struct All {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) lost: u64,
}

pub(crate) async fn read_to_end(reader: &mut Reader) -> All {
    let mut all = All::default();
    while let Some(event) = timeout(PATIENCE, reader.next()).await.unwrap() {
        match event {
            Event::Data {
                stream: Stream::Stdout,
                bytes,
                ..
            } => all.stdout.extend(&bytes),
            Event::Data {
                stream: Stream::Stderr,
                bytes,
                ..
            } => all.stderr.extend(&bytes),
            Event::Gap { lost_bytes, .. } => all.lost += lost_bytes,
        }
    }
    all
}

/// Reads until stdout holds a text, and returns all of it so far.
pub(crate) async fn read_until(reader: &mut Reader, wanted: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        let event = timeout(PATIENCE, reader.next()).await;
        match event.unwrap_or_else(|_| panic!("no {wanted:?} in {seen:?}")) {
            Some(Event::Data {
                stream: Stream::Stdout,
                bytes,
                ..
            }) => seen += &text(&bytes),
            Some(_) => {}
            None => panic!("ended without {wanted:?}: {seen:?}"),
        }
    }
    seen
}

pub(crate) fn from_start(process: &Process) -> Reader {
    process.output(Offsets::default()).unwrap()
}

pub(crate) async fn ended(process: &Process) -> i32 {
    timeout(PATIENCE, process.ended())
        .await
        .expect("ends in time")
        .exit
        .code()
}

/// Whether a process is there and no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The state letter of a process.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Processes whose session is this, zombies left out.
pub(crate) fn session(leader: u32) -> Vec<u32> {
    let is_member = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        (fields[3] == leader.to_string() && fields[0] != "Z").then_some(pid)
    };
    pids().into_iter().filter_map(is_member).collect()
}

pub(crate) fn pids() -> Vec<u32> {
    let names = fs::read_dir(Path::new("/proc"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

#[track_caller]
pub(crate) fn invalid<T: std::fmt::Debug>(result: Result<T, Error>, expected: &str) {
    match result {
        Err(Error::Invalid { field, .. }) => assert_eq!(field, expected),
        other => panic!("{expected}: {other:?}"),
    }
}
