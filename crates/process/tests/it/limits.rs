//! Starts at the limits of the system, each in a process of its own.

use std::fs::File;

use browserd_process::{Error, Identity, Program, Size};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, WaitId, WaitIdOptions, getrlimit, setrlimit, waitid};

use super::support::*;

/// Runs one of the ignored tests below in this program again, as somebody else if told to.
async fn alone(test: &str, identity: Identity) {
    let (_directory, copy) = copy_of_itself();
    let program = Program::new(copy)
        .args(["--exact", "--ignored", test])
        .identity(identity);
    match running().exec(program).await {
        Ok(outcome) => {
            let output = stdout(&outcome);
            let told = text(&outcome.stderr.bytes);
            assert!(output.contains("1 passed"), "{output}{told}");
        }
        // Only root can become somebody else.
        Err(Error::SwitchUser { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// At each limit a start succeeds or says what there is no more of; nothing is left of it.
#[tokio::test]
async fn a_start_at_a_limit_leaves_nothing() {
    alone("it::limits::of_descriptors", Identity::Daemon).await;
    let user = Identity::User("61236".to_owned());
    alone("it::limits::of_processes", user).await;
}

/// No child, running or ended. Needs no descriptor.
fn has_no_child() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

fn set_soft(resource: Resource, current: u64) {
    let limit = Rlimit {
        current: Some(current),
        ..getrlimit(resource)
    };
    setrlimit(resource, limit).unwrap();
}

fn exhausted<T: std::fmt::Debug>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(started) => Some(started),
        Err(Error::Exhausted { .. }) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// One start of each kind. Returns how many succeeded.
async fn start_each(handle: &Running) -> usize {
    let with_input = browserd_process::Request {
        stdin: Some("x".into()),
        ..Program::new("cat").into()
    };
    let other = Program::new("true").identity(Identity::User("61237".to_owned()));
    let mut started = 0;
    started += usize::from(exhausted(handle.exec(Program::new("true")).await).is_some());
    started += usize::from(exhausted(handle.exec(with_input).await).is_some());
    match handle.exec(other).await {
        // As an ordinary user.
        Err(Error::SwitchUser { .. }) => {}
        result => started += usize::from(exhausted(result).is_some()),
    }
    for terminal in [None, Some(Size::default())] {
        if let Some(process) = exhausted(handle.spawn(Program::new("true"), terminal).await) {
            ended(&process).await;
            started += 1;
        }
    }
    started
}

#[tokio::test]
#[ignore = "run by a_start_at_a_limit_leaves_nothing, in a process of its own"]
async fn of_descriptors() {
    let handle = running();
    start_each(&handle).await;
    set_soft(Resource::Nofile, 128);
    let mut counts = Vec::new();
    for free in 0..=16 {
        let mut others = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            others.push(file);
        }
        others.truncate(others.len() - free);
        counts.push(start_each(&handle).await);
        // Still at the limit.
        eventually("no child is left", has_no_child).await;
        drop(others);
    }
    assert_eq!(counts[0], 0, "{counts:?}");
    assert!(counts[16] >= 4, "{counts:?}");
}

#[tokio::test]
#[ignore = "run by a_start_at_a_limit_leaves_nothing, as an ordinary user"]
async fn of_processes() {
    let handle = running();
    let before = start_each(&handle).await;
    let usual = getrlimit(Resource::Nproc).current;
    set_soft(Resource::Nproc, 1);
    assert_eq!(start_each(&handle).await, 0);
    eventually("no child is left", has_no_child).await;
    let limit = Rlimit {
        current: usual,
        ..getrlimit(Resource::Nproc)
    };
    setrlimit(Resource::Nproc, limit).unwrap();
    assert_eq!(start_each(&handle).await, before);
}
