//! Orphans are reaped, and the exit codes of the daemon's own children are all true.
//!
//! Alone in its program, as it counts the zombies among all children.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test hands its own environment on, and is told its size by it"
)]

use std::fs;
use std::time::{Duration, Instant};

use browserd_process::{Config, Environment, Exit, Handle, Program, Secrets, start};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const ORPHANS: usize = 10_000;
const OWN: i32 = 100;
const PATIENCE: Duration = Duration::from_secs(30);

fn running() -> Handle {
    let environment = Environment::without(&Secrets::new(), std::env::vars_os());
    let (handle, work) = start(Config::new(environment), CancellationToken::new()).unwrap();
    tokio::runtime::Handle::current().spawn(work);
    handle
}

/// State and parent of all processes.
fn processes() -> Vec<(char, u32)> {
    let names = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse::<u32>().ok());
    let stat = |pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
    };
    pids.filter_map(stat).collect()
}

/// States of all children of this process.
fn children() -> Vec<char> {
    let me = std::process::id();
    let mine = |(state, parent)| (parent == me).then_some(state);
    processes().into_iter().filter_map(mine).collect()
}

async fn exits_with(handle: &Handle, code: i32) -> Exit {
    let script = format!("sleep 0.0{}; exit {code}", code % 10);
    handle
        .exec(Program::new("sh").args(["-c", &script]))
        .await
        .unwrap()
        .exit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_orphans_and_a_hundred_exit_codes() {
    let handle = running();
    // A child of other code in the daemon, which reaps it when it pleases.
    let mut foreign = std::process::Command::new("sh")
        .args(["-c", "exit 42"])
        .spawn()
        .unwrap();

    // Each shell leaves orphans behind that end after it.
    let per_shell = 500;
    let mut shells = JoinSet::new();
    for _ in 0..ORPHANS / per_shell {
        let runs = handle.clone();
        let script = format!(
            "i=0; while [ $i -lt {per_shell} ]; do (sleep 0.2 &) ; i=$((i+1)); done >/dev/null 2>&1"
        );
        shells.spawn(async move {
            runs.exec(Program::new("sh").args(["-c", &script]))
                .await
                .unwrap()
                .exit
        });
        if shells.len() >= 4 {
            assert_eq!(shells.join_next().await.unwrap().unwrap(), Exit::Code(0));
        }
        for code in 0..OWN / (i32::try_from(ORPHANS / per_shell).unwrap()) {
            assert_eq!(exits_with(&handle, code).await, Exit::Code(code));
        }
    }
    while let Some(done) = shells.join_next().await {
        assert_eq!(done.unwrap(), Exit::Code(0));
    }

    // All orphans have ended; only the foreign child is left to its owner.
    let started = Instant::now();
    while children() != ['Z'] {
        let children = children();
        assert!(
            started.elapsed() < PATIENCE,
            "{} children are left",
            children.len()
        );
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(foreign.wait().unwrap().code(), Some(42));
    assert_eq!(children(), []);
}
