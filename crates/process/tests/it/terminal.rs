//! Processes with a terminal.

use std::time::Duration;

use browserd_process::{Error, Event, Process, Program, Request, Signal, Size};
use tokio::time::timeout;

use super::support::*;

async fn terminal(handle: &Running, request: Program) -> Process {
    handle
        .spawn(
            request,
            Some(Size {
                rows: 30,
                cols: 100,
            }),
        )
        .await
        .unwrap()
}

async fn types(process: &Process, keys: &str) {
    let written = process.write(keys.as_bytes(), false).await.unwrap();
    assert_eq!(written, keys.len());
}

#[tokio::test]
async fn has_the_size_asked_for_and_the_size_given_later() {
    let handle = running();
    let script = "stty size; trap 'stty size' WINCH; echo ready; while true; do sleep 0.05; done";
    let process = terminal(&handle, sh(script)).await;
    let mut reader = from_start(&process);
    let seen = read_until(&mut reader, "ready").await;
    assert!(seen.starts_with("30 100\r\n"), "{seen}");
    process
        .resize(Size {
            rows: 50,
            cols: 65_535,
        })
        .unwrap();
    read_until(&mut reader, "50 65535").await;
    invalid(process.resize(Size { rows: 0, cols: 1 }), "rows");
    process.kill(Signal::KILL).unwrap();
}

#[tokio::test]
async fn is_the_controlling_terminal_and_has_a_type() {
    let handle = running();
    let process = terminal(&handle, sh("tty; echo x > /dev/tty; echo $TERM")).await;
    let all = text(&read_to_end(&mut from_start(&process)).await.stdout);
    let lines: Vec<&str> = all.lines().collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{all}");
    assert_eq!(lines[1..], ["x", "xterm-256color"]);

    let request = sh("echo $TERM").env(env(&[("TERM", "dumb")]));
    let process = terminal(&handle, request).await;
    assert_eq!(
        text(&read_to_end(&mut from_start(&process)).await.stdout),
        "dumb\r\n"
    );
}

#[tokio::test]
async fn a_shell_runs_commands_and_ctrl_c_ends_them() {
    let handle = running();
    let process = terminal(
        &handle,
        Program::new("bash").args(["--norc", "--noprofile"]),
    )
    .await;
    let mut reader = from_start(&process);
    types(&process, "echo $((6*7))\n").await;
    read_until(&mut reader, "\r42\r\n").await;
    types(&process, "sleep 1000\n").await;
    let is_sleeping = || session(process.pid()).len() == 2;
    eventually("sleep runs", is_sleeping).await;
    types(&process, "\x03").await;
    types(&process, "echo $?\n").await;
    let seen = read_until(&mut reader, "130\r\n").await;
    // With its prompt it reads keys by itself. Before, the terminal would make a mark of the end of
    // file that is dropped when the shell takes over.
    if !seen.rsplit("130\r\n").next().unwrap().contains("bash-") {
        read_until(&mut reader, "bash-").await;
    }
    // Its end of file.
    process.write(b"", true).await.unwrap();
    assert_eq!(ended(&process).await, 0);
}

#[tokio::test]
async fn an_editor_and_a_monitor_work() {
    let handle = running();
    let request = Program::new("vim").args(["-u", "NONE", "-N", "-c", "q"]);
    let process = match handle.spawn(request, Some(Size::default())).await {
        Ok(process) => process,
        Err(Error::NotFound { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    let mut reader = from_start(&process);
    assert_eq!(ended(&process).await, 0);
    assert!(!read_to_end(&mut reader).await.stdout.is_empty());

    let process = terminal(&handle, Program::new("top")).await;
    let mut reader = from_start(&process);
    read_until(&mut reader, "PID").await;
    types(&process, "q").await;
    assert_eq!(ended(&process).await, 0);
}

#[tokio::test]
async fn a_large_paste_arrives_whole() {
    let handle = running();
    let line = format!("{}\n", "0123456789abcde".repeat(17));
    let paste = line.repeat(100 * 1024 / line.len());
    let script = format!("stty -echo; echo ready; head -c {} | cksum", paste.len());
    let process = terminal(&handle, sh(&script)).await;
    let mut reader = from_start(&process);
    read_until(&mut reader, "ready").await;
    types(&process, &paste).await;
    let rest = read_to_end(&mut reader).await;
    let request = Request {
        stdin: Some(paste.into()),
        ..Program::new("cksum").into()
    };
    let expected = stdout(&handle.exec(request).await.unwrap());
    assert!(
        text(&rest.stdout).contains(expected.trim()),
        "{:?}",
        text(&rest.stdout)
    );
}

#[tokio::test]
async fn one_seat_that_can_be_taken_over() {
    let handle = running();
    let process = terminal(&handle, sh("echo hello; cat")).await;
    read_until(&mut from_start(&process), "hello").await;
    let mut first = process.attach(false).unwrap();
    assert!(
        read_until(first.reader(), "hello")
            .await
            .starts_with("hello")
    );
    assert!(matches!(process.attach(false), Err(Error::Attached { .. })));

    let second = process.attach(true).unwrap();
    timeout(PATIENCE, first.taken_over().cancelled())
        .await
        .unwrap();
    drop(first);
    // The old one leaves without taking the new one's seat along.
    assert!(matches!(process.attach(false), Err(Error::Attached { .. })));
    drop(second);
    assert!(process.attach(false).is_ok());
    process.kill(Signal::KILL).unwrap();
}

/// Whoever attaches sees the last 64 KiB, and whoever vanishes holds nothing up.
#[tokio::test]
async fn attaching_replays_the_end_and_vanishing_costs_nothing() {
    let handle = running();
    let process = terminal(&handle, sh("seq 200000; echo done; cat")).await;
    let vanishing = process.attach(false).unwrap();
    read_until(&mut from_start(&process), "done").await;
    drop(vanishing);
    let mut late = process.attach(false).unwrap();
    let seen = read_until(late.reader(), "done").await;
    assert!(seen.len() <= 64 * 1024, "{}", seen.len());
    assert!(seen.len() > 63 * 1024, "{}", seen.len());
    process.kill(Signal::KILL).unwrap();
}

#[tokio::test]
async fn the_last_output_comes_before_the_exit() {
    let handle = running();
    for _ in 0..50 {
        let process = terminal(&handle, sh("seq 2000; echo last")).await;
        let all = read_to_end(&mut from_start(&process)).await;
        assert!(text(&all.stdout).ends_with("2000\r\nlast\r\n"));
        assert_eq!(ended(&process).await, 0);
    }
}

/// Descriptors of other terminals in a child would keep those from hanging up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_child_inherits_another_ones_terminal() {
    let handle = running();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let handle = handle.handle.clone();
        tasks.spawn(async move {
            let script = "ls -1 /proc/$$/fd; sleep 0.1";
            let size = Some(Size::default());
            let process = handle.spawn(sh(script), size).await.unwrap();
            let outcome = handle.exec(sh(script)).await.unwrap();
            let mut reader = from_start(&process);
            let mut seen = Vec::new();
            while let Some(event) = reader.next().await {
                if let Event::Data { bytes, .. } = event {
                    seen.extend(bytes);
                }
            }
            (text(&seen), stdout(&outcome))
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (with_terminal, with_pipes) = done.unwrap();
        assert_eq!(with_terminal, "0\r\n1\r\n2\r\n");
        assert_eq!(with_pipes, "0\n1\n2\n");
    }
}

/// A program may close the terminal for a while.
#[tokio::test]
async fn a_terminal_that_nobody_has_open_does_not_end() {
    let handle = running();
    let script =
        "t=$(tty); echo before; exec </dev/null >/dev/null 2>&1; sleep 0.3; exec >$t; echo after";
    let process = terminal(&handle, sh(script)).await;
    let all = timeout(
        Duration::from_secs(10),
        read_to_end(&mut from_start(&process)),
    )
    .await;
    assert_eq!(text(&all.unwrap().stdout), "before\r\nafter\r\n");
}
