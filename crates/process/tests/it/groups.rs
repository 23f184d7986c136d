//! Timeouts, signals, and who is reached by them.

use std::fs::Permissions;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use browserd_process::{Exit, Program, Request, Signal, Size};
use tokio::time::timeout;

use super::support::*;

#[tokio::test]
async fn a_timeout_leaves_no_process_and_keeps_the_output() {
    let handle = running();
    let request = Request {
        timeout: Some(Duration::from_millis(300)),
        ..sh("echo $$; sleep 1000 & sleep 1000").into()
    };
    let outcome = handle.exec(request).await.unwrap();
    assert!(outcome.timed_out);
    assert_eq!(outcome.exit, Exit::Signal(Signal::TERM));
    let leader = stdout(&outcome).trim().parse().unwrap();
    assert_eq!(session(leader), [] as [u32; 0]);
}

#[tokio::test]
async fn what_ignores_the_request_to_end_is_killed_after_the_grace() {
    let handle = running();
    let request = Request {
        timeout: Some(Duration::from_millis(200)),
        ..sh("trap '' TERM; echo $$; sleep 1000 & while true; do sleep 1; done").into()
    };
    let outcome = handle.exec(request).await.unwrap();
    assert!(outcome.timed_out);
    assert_eq!(outcome.exit, Exit::Signal(Signal::KILL));
    assert!(outcome.took > Duration::from_secs(2), "{:?}", outcome.took);
    let leader = stdout(&outcome).trim().parse().unwrap();
    assert_eq!(session(leader), [] as [u32; 0]);
}

/// A lease holds back whoever opens the file, as a disk that does not answer does.
const LEASE: &str = "
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()
";

/// On one thread: whoever waits for the disk must not hold it.
#[tokio::test]
async fn a_program_that_the_disk_does_not_deliver_holds_up_nobody_and_times_out() {
    let handle = running();
    let program = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let executable = Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, executable).unwrap();
    let mut holder = Command::new("python3")
        .args(["-c", LEASE])
        .arg(&*program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = [0; 5];
    holder
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut held)
        .unwrap();

    let request = Request {
        timeout: Some(Duration::from_millis(500)),
        ..Program::new(program.to_str().unwrap()).into()
    };
    let other = handle.exec(Program::new("true"));
    let both = async { tokio::join!(biased; handle.exec(request), other) };
    let (stuck, other) = timeout(PATIENCE, both).await.unwrap();
    let (stuck, other) = (stuck.unwrap(), other.unwrap());
    assert_eq!(other.exit, Exit::Code(0));
    assert!(stuck.timed_out);
    assert_eq!(stuck.exit, Exit::Signal(Signal::KILL));
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

/// The leader ends at once, a child of it does not.
#[tokio::test]
async fn a_stubborn_grandchild_is_killed_too() {
    let handle = running();
    let request = Request {
        timeout: Some(Duration::from_millis(200)),
        ..sh("echo $$; (trap '' TERM; sleep 1000; sleep 1000) & sleep 1000").into()
    };
    let outcome = handle.exec(request).await.unwrap();
    assert_eq!(outcome.exit, Exit::Signal(Signal::TERM));
    let leader = stdout(&outcome).trim().parse().unwrap();
    assert_eq!(session(leader), [] as [u32; 0]);
}

/// timeout(1) and job control make process groups of their own.
#[tokio::test]
async fn other_groups_of_the_session_are_reached() {
    let handle = running();
    let request = Request {
        timeout: Some(Duration::from_millis(500)),
        ..sh("echo $$; timeout 1000 sleep 1000 & set -m; sleep 1000 & sleep 1000").into()
    };
    let outcome = handle.exec(request).await.unwrap();
    assert!(outcome.timed_out);
    let leader = stdout(&outcome).trim().parse().unwrap();
    assert_eq!(session(leader), [] as [u32; 0]);
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_the_command() {
    let handle = running();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("echo $$ > {}; sleep 1000 & sleep 1000", file.display());
    let mut exec = Box::pin(handle.exec(sh(&script)));
    let read = || {
        std::fs::read_to_string(&file)
            .ok()?
            .trim()
            .parse::<u32>()
            .ok()
    };
    let leader = loop {
        tokio::select! {
            _ = &mut exec => panic!("the command ends by itself"),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        if let Some(leader) = read() {
            break leader;
        }
    };
    drop(exec);
    eventually("the session has ended", || session(leader).is_empty()).await;
}

#[tokio::test]
async fn a_timeout_ends_a_spawned_process_too() {
    let handle = running();
    let request = Request {
        timeout: Some(Duration::from_millis(200)),
        ..sh("sleep 1000").into()
    };
    let process = handle.spawn(request, None).await.unwrap();
    assert_eq!(ended(&process).await, 143);
    eventually("the session has ended", || {
        session(process.pid()).is_empty()
    })
    .await;
}

#[tokio::test]
async fn any_signal_is_sent_once_to_the_group() {
    let handle = running();
    let script = "trap 'echo got' USR1; (trap 'echo got' USR1; echo ready; while true; do sleep 0.05; done) &
        echo ready; while true; do sleep 0.05; done";
    let process = handle.spawn(sh(script), None).await.unwrap();
    let mut reader = from_start(&process);
    read_until(&mut reader, "ready\nready\n").await;
    process.kill(Signal::from_name("USR1").unwrap()).unwrap();
    read_until(&mut reader, "got\ngot\n").await;
    assert_eq!(process.end(), None);
    process.kill(Signal::KILL).unwrap();
    assert_eq!(ended(&process).await, 137);
}

#[tokio::test]
async fn term_is_followed_by_kill_and_nothing_else_is() {
    let handle = running();
    let script = "trap '' TERM INT; echo ready; while true; do sleep 0.1; done";
    let process = handle.spawn(sh(script), None).await.unwrap();
    read_until(&mut from_start(&process), "ready").await;
    process.kill(Signal::INT).unwrap();
    process.kill(Signal::TERM).unwrap();
    let started = Instant::now();
    assert_eq!(ended(&process).await, 137);
    assert!(started.elapsed() > Duration::from_millis(1_500));
    eventually("the session has ended", || {
        session(process.pid()).is_empty()
    })
    .await;
}

/// A process group can be ended by the id of a leader that is long gone.
#[tokio::test]
async fn what_a_process_has_left_behind_can_be_killed() {
    for signal in [Signal::TERM, Signal::KILL] {
        let handle = running();
        let process = handle
            .spawn(sh("sleep 1000 & echo hi"), None)
            .await
            .unwrap();
        assert_eq!(ended(&process).await, 0);
        assert_eq!(session(process.pid()).len(), 1);
        process.kill(signal).unwrap();
        eventually("the session has ended", || {
            session(process.pid()).is_empty()
        })
        .await;
        eventually("nobody is left", || process.kill(signal).is_err()).await;
    }
}

#[tokio::test]
async fn usage_is_that_of_the_tree() {
    let handle = running();
    let burn = "sh -c 'while true; do :; done' & wait";
    let process = handle.spawn(sh(burn), None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let status = process.status().await.unwrap();
    assert_eq!(status.end, None);
    // Other tests run meanwhile, so that a share of a processor is all that can be asked for.
    assert!(status.usage.cpu_pct > 5.0, "{status:?}");
    assert!(status.usage.mem_bytes > 500_000, "{status:?}");
    process.kill(Signal::KILL).unwrap();
    ended(&process).await;
    let status = process.status().await.unwrap();
    assert_eq!(status.end.unwrap().exit, Exit::Signal(Signal::KILL));
    assert_eq!((status.usage.cpu_pct, status.usage.mem_bytes), (0.0, 0));
}

#[tokio::test]
async fn an_idle_process_uses_no_processor() {
    let handle = running();
    let request = Program::new("sleep").args(["1000"]);
    let process = handle.spawn(request, Some(Size::default())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = process.status().await.unwrap();
    assert!(status.usage.cpu_pct < 10.0, "{status:?}");
    process.kill(Signal::KILL).unwrap();
}
