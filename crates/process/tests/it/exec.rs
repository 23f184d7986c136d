//! Commands that are run to their end.

use std::time::{Duration, Instant};

use browserd_process::{Config, Error, Exit, Program, Request, Signal};
use bytes::Bytes;

use super::support::*;

#[tokio::test]
async fn gives_output_exit_code_and_duration() {
    let handle = running();
    let outcome = handle
        .exec(sh("echo out; echo err >&2; exit 7"))
        .await
        .unwrap();
    assert_eq!(outcome.exit, Exit::Code(7));
    assert_eq!(stdout(&outcome), "out\n");
    assert_eq!(text(&outcome.stderr.bytes), "err\n");
    assert!(!outcome.timed_out && !outcome.stdout.truncated);
    assert!(outcome.took > Duration::ZERO && outcome.took < PATIENCE);
}

#[tokio::test]
async fn a_signal_is_128_and_its_number() {
    let handle = running();
    let outcome = handle.exec(sh("kill -KILL $$")).await.unwrap();
    assert_eq!(outcome.exit, Exit::Signal(Signal::KILL));
    assert_eq!(outcome.exit.code(), 137);
}

#[tokio::test]
async fn cwd_env_and_arguments_arrive() {
    let handle = running();
    let directory = std::env::temp_dir().canonicalize().unwrap();
    let request = Program::new("sh")
        .args([
            "-c",
            r#"pwd; echo "$GREETING|$EMPTY|$1|$2""#,
            "sh",
            "x y",
            "",
        ])
        .cwd(directory.clone())
        .env(env(&[("GREETING", "a b\n'c'"), ("EMPTY", "")]));
    let outcome = handle.exec(request).await.unwrap();
    let expected = format!("{}\na b\n'c'||x y|\n", directory.display());
    assert_eq!(stdout(&outcome), expected);
}

#[tokio::test]
async fn the_program_is_looked_up_in_the_resulting_environment() {
    let handle = running();
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/echo", directory.path().join("shout")).unwrap();
    let path = format!("/nonexistent:{}", directory.path().display());
    let request = Program::new("shout")
        .args(["hi"])
        .env(env(&[("PATH", &path)]));
    assert_eq!(stdout(&handle.exec(request).await.unwrap()), "hi\n");
}

#[tokio::test]
async fn stdin_is_what_the_request_has_and_then_its_end() {
    let handle = running();
    let nothing = handle.exec(Program::new("cat")).await.unwrap();
    assert_eq!(stdout(&nothing), "");

    let bytes = Bytes::from(vec![b'x'; 1_000_000]);
    let request = Request {
        stdin: Some(bytes.clone()),
        ..Program::new("cat").into()
    };
    assert_eq!(
        handle.exec(request.clone()).await.unwrap().stdout.bytes,
        bytes
    );

    // A command that does not read it is not held up by it.
    let request = Request {
        stdin: Some(bytes),
        ..Program::new("true").into()
    };
    assert_eq!(handle.exec(request).await.unwrap().exit, Exit::Code(0));
}

#[tokio::test]
async fn leads_its_own_session_and_holds_only_three_descriptors() {
    let handle = running();
    let script = "cut -d' ' -f1,5,6 /proc/$$/stat; ls /proc/$$/fd; true";
    let outcome = handle.exec(sh(script)).await.unwrap();
    let all = stdout(&outcome);
    let (ids, descriptors) = all.split_once('\n').unwrap();
    let ids: Vec<&str> = ids.split(' ').collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
    assert_eq!(descriptors, "0\n1\n2\n");
}

#[tokio::test]
async fn signals_are_at_their_defaults() {
    let handle = running();
    // The runtime ignores SIGPIPE; a child must not.
    let outcome = handle
        .exec(Program::new("grep").args(["^Sig[BI]", "/proc/self/status"]))
        .await;
    for line in stdout(&outcome.unwrap()).lines() {
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
    let outcome = handle.exec(sh("yes | head -n1; echo done")).await.unwrap();
    assert_eq!(stdout(&outcome), "y\ndone\n");
}

#[tokio::test]
async fn a_background_process_does_not_hold_the_answer_up_and_lives_on() {
    let handle = running();
    let outcome = handle.exec(sh("sleep 1000 & echo $! hi")).await.unwrap();
    let output = stdout(&outcome);
    let (pid, hi) = output.trim().split_once(' ').unwrap();
    assert_eq!(hi, "hi");
    let pid: u32 = pid.parse().unwrap();
    assert!(is_alive(pid));
    handle
        .exec(Program::new("kill").args([pid.to_string()]))
        .await
        .unwrap();
    eventually("the sleep is gone and reaped", || state(pid).is_none()).await;
}

/// Whoever keeps the pipes may go on writing to them.
#[tokio::test]
async fn a_server_that_is_left_behind_can_still_log() {
    let handle = running();
    let directory = tempfile::tempdir().unwrap();
    let go = directory.path().join("go");
    let done = directory.path().join("done");
    let script = format!(
        "(while ! [ -e {go} ]; do sleep 0.02; done; seq 100000; echo late && touch {done}) & echo $!",
        go = go.display(),
        done = done.display(),
    );
    let outcome = handle.exec(sh(&script)).await.unwrap();
    std::fs::write(go, "").unwrap();
    eventually("the server has logged", || done.exists()).await;
    let pid = stdout(&outcome).trim().parse().unwrap();
    eventually("the server has ended", || state(pid).is_none()).await;
}

#[tokio::test]
async fn output_in_bounds_keeps_head_and_tail() {
    let handle = running();
    let request = |script: &str| Request {
        max_output_bytes: Some(100),
        ..sh(script).into()
    };
    let outcome = handle.exec(request("seq 1000; seq 30 >&2")).await.unwrap();
    assert!(outcome.stdout.truncated && !outcome.stderr.truncated);
    assert_eq!(outcome.stdout.bytes.len(), 100);
    assert_eq!(outcome.stdout.total_bytes, 3893);
    assert!(outcome.stdout.bytes.starts_with(b"1\n2\n"));
    assert!(outcome.stdout.bytes.ends_with(b"999\n1000\n"));

    let config = Config {
        exec_output_bytes: 10,
        ..config()
    };
    let outcome = running_with(config)
        .exec(request("seq 1000"))
        .await
        .unwrap();
    assert_eq!(outcome.stdout.bytes.len(), 10);
}

#[tokio::test]
async fn a_great_amount_of_output_is_whole() {
    let handle = running();
    let outcome = handle
        .exec(sh("head -c 20000000 /dev/zero; head -c 3 /dev/zero >&2"))
        .await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.stdout.bytes.len(), 20_000_000);
    assert_eq!(outcome.stderr.bytes.len(), 3);
}

#[tokio::test]
async fn processes_at_once_are_limited() {
    let handle = running_with(Config {
        max_processes: 1,
        ..config()
    });
    let process = handle
        .spawn(Program::new("sleep").args(["1000"]), None)
        .await
        .unwrap();
    let refused = handle.exec(Program::new("true")).await;
    assert!(
        matches!(refused, Err(Error::TooMany { limit: 1 })),
        "{refused:?}"
    );
    process.kill(Signal::KILL).unwrap();
    ended(&process).await;
    let started = Instant::now();
    while handle.exec(Program::new("true")).await.is_err() {
        assert!(started.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_are_told_apart() {
    let handle = running();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let handle = handle.handle.clone();
        tasks.spawn(async move {
            let outcome = handle
                .exec(sh(&format!("echo {number}; exit {number}")))
                .await
                .unwrap();
            (number, stdout(&outcome), outcome.exit)
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (number, output, exit) = done.unwrap();
        assert_eq!((output, exit), (format!("{number}\n"), Exit::Code(number)));
    }
}
