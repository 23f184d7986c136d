//! Output to many readers, and input.

#![expect(
    clippy::disallowed_methods,
    reason = "a test hands its own environment on, and is told its size by it"
)]

use std::time::{Duration, Instant};

use browserd_process::{Config, Error, Event, Offsets, Process, Program, Request, Signal, Stream};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::support::*;

/// Bytes of the large streams; the 1 GiB with `PROCESS_TEST_BYTES`.
fn large() -> u64 {
    std::env::vars()
        .find(|(name, _)| name == "PROCESS_TEST_BYTES")
        .map_or(128 * 1024 * 1024, |(_, value)| value.parse().unwrap())
}

/// A known stream that is hard to get right by accident.
fn generator(bytes: u64) -> Program {
    let script = "openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c \"$1\"";
    Program::new("sh").args(["-c", script, "sh", &bytes.to_string()])
}

async fn expected(handle: &Running, bytes: u64) -> String {
    let script = "openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null \
        | head -c \"$1\" | sha256sum";
    let request = Program::new("sh").args(["-c", script, "sh", &bytes.to_string()]);
    stdout(&handle.exec(request).await.unwrap())
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}

/// Reads to the end, leaving and resuming after every `cut` bytes.
async fn digest(process: Process, cut: Option<u64>) -> (u64, String) {
    let mut reader = from_start(&process);
    let (mut digest, mut count, mut next_cut) = (Sha256::new(), 0, cut);
    while let Some(event) = timeout(PATIENCE, reader.next()).await.unwrap() {
        match event {
            Event::Data { bytes, next, .. } => {
                digest.update(&bytes);
                count += bytes.len() as u64;
                if next_cut.is_some_and(|at| count >= at) {
                    next_cut = next_cut.zip(cut).map(|(at, cut)| at + cut);
                    // As a client does it: by the text of the id.
                    let id: Offsets = next.to_string().parse().unwrap();
                    drop(reader);
                    reader = process.output(id).unwrap();
                }
            }
            Event::Gap { lost_bytes, .. } => panic!("{lost_bytes} bytes lost at {count}"),
        }
    }
    (count, format!("{:x}", digest.finalize()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_stream_arrives_whole_at_two_readers_and_one_that_resumes() {
    let handle = running();
    let total = large();
    let expected = expected(&handle, total).await;
    let process = handle.spawn(generator(total), None).await.unwrap();
    let mut readers = tokio::task::JoinSet::new();
    for cut in [None, None, Some(7_777_777)] {
        readers.spawn(digest(process.clone(), cut));
    }
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), (total, expected.clone()));
    }
    assert_eq!(ended(&process).await, 0);
}

#[tokio::test]
async fn both_streams_come_in_the_order_in_which_they_were_written() {
    let handle = running();
    let script =
        "for i in 1 2 3 4 5 6 7 8 9; do echo o$i; sleep 0.02; echo e$i >&2; sleep 0.02; done";
    let process = handle.spawn(sh(script), None).await.unwrap();
    let mut reader = from_start(&process);
    let mut lines = Vec::new();
    while let Some(event) = reader.next().await {
        let Event::Data {
            stream,
            bytes,
            next,
        } = event
        else {
            panic!("{event:?}")
        };
        assert_eq!(next, reader.place());
        let prefix = if stream == Stream::Stdout { "o" } else { "e" };
        assert!(bytes.starts_with(prefix.as_bytes()));
        lines.extend(text(&bytes).lines().map(ToOwned::to_owned));
    }
    let wanted: Vec<String> = (1..10)
        .flat_map(|i| [format!("o{i}"), format!("e{i}")])
        .collect();
    assert_eq!(lines, wanted);
}

/// The exit is told after the last output, however close they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_last_lines_arrive_before_the_exit() {
    let handle = running();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..20 {
        let handle = handle.handle.clone();
        tasks.spawn(async move {
            for round in 0..50 {
                let line = format!("last line {worker} {round}");
                let process = handle
                    .spawn(sh(&format!("echo {line}")), None)
                    .await
                    .unwrap();
                let end = process.ended().await;
                assert_eq!(end.exit.code(), 0);
                // Nothing may come after the exit, so that all of it is there now.
                let mut reader = process.output(Offsets::default()).unwrap();
                let all = read_to_end(&mut reader).await;
                assert_eq!(text(&all.stdout), format!("{line}\n"));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn nobody_reading_does_not_hold_a_process_up() {
    let handle = running_with(Config {
        output_bytes: 1024 * 1024,
        ..config()
    });
    let process = handle
        .spawn(sh("yes | head -c 50000000; echo end >&2"), None)
        .await
        .unwrap();
    assert_eq!(ended(&process).await, 0);
    let mut reader = from_start(&process);
    let all = read_to_end(&mut reader).await;
    assert_eq!(all.stdout.len() as u64 + all.lost, 50_000_000);
    assert!(all.lost > 48_000_000);
    assert_eq!(text(&all.stderr), "end\n");
}

#[tokio::test]
async fn a_reader_that_stands_still_does_not_hold_a_process_up() {
    let handle = running_with(Config {
        output_bytes: 1024 * 1024,
        ..config()
    });
    let process = handle
        .spawn(sh("yes | head -c 200000000"), None)
        .await
        .unwrap();
    let mut stalled = from_start(&process);
    stalled.next().await.unwrap();
    let started = Instant::now();
    assert_eq!(ended(&process).await, 0);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    let all = read_to_end(&mut stalled).await;
    assert!(all.lost > 0);
}

#[tokio::test]
async fn without_room_on_disk_output_is_kept_in_memory() {
    let mut config = config();
    config.output_dir = "/nonexistent".into();
    let handle = running_with(config);
    let process = handle
        .spawn(sh("yes | head -c 20000000"), None)
        .await
        .unwrap();
    assert_eq!(ended(&process).await, 0);
    let all = read_to_end(&mut from_start(&process)).await;
    assert_eq!(all.stdout.len() as u64 + all.lost, 20_000_000);
    assert!(
        all.stdout.len() > 500_000 && all.stdout.len() < 1_200_000,
        "{}",
        all.stdout.len()
    );
}

#[tokio::test]
async fn readers_of_one_process_are_limited() {
    let handle = running_with(Config {
        max_streams: 2,
        ..config()
    });
    let process = handle
        .spawn(Program::new("sleep").args(["1000"]), None)
        .await
        .unwrap();
    let first = from_start(&process);
    let _second = from_start(&process);
    let refused = process.output(Offsets::default());
    assert!(
        matches!(refused, Err(Error::TooManyStreams { limit: 2, .. })),
        "{refused:?}"
    );
    drop(first);
    from_start(&process);
    process.kill(Signal::KILL).unwrap();
}

#[tokio::test]
async fn stdin_is_written_and_closed() {
    let handle = running();
    let request = Request {
        stdin: Some("first ".into()),
        ..Program::new("cat").into()
    };
    let process = handle.spawn(request, None).await.unwrap();
    let mut reader = from_start(&process);
    read_until(&mut reader, "first ").await;
    assert_eq!(process.write(b"second ", false).await.unwrap(), 7);
    read_until(&mut reader, "second ").await;
    assert_eq!(process.write(b"third", true).await.unwrap(), 5);
    assert_eq!(text(&read_to_end(&mut reader).await.stdout), "third");
    assert_eq!(ended(&process).await, 0);
}

#[tokio::test]
async fn stdin_closed_by_either_side_is_said() {
    let handle = running();
    let process = handle
        .spawn(sh("exec <&-; echo closed; sleep 1000"), None)
        .await
        .unwrap();
    read_until(&mut from_start(&process), "closed").await;
    let refused = process.write(b"x", false).await;
    assert!(
        matches!(refused, Err(Error::StdinClosed { .. })),
        "{refused:?}"
    );
    process.kill(Signal::KILL).unwrap();

    let process = handle
        .spawn(sh("cat > /dev/null; sleep 1000"), None)
        .await
        .unwrap();
    process.write(b"", true).await.unwrap();
    let refused = process.write(b"x", false).await;
    assert!(
        matches!(refused, Err(Error::StdinClosed { .. })),
        "{refused:?}"
    );
    process.kill(Signal::KILL).unwrap();
}

/// A write is bounded in time and says how much of it was taken; so are those that wait.
#[tokio::test]
async fn a_process_that_does_not_read_is_not_waited_for() {
    let handle = running_with(Config {
        stdin_wait: Duration::from_millis(300),
        ..config()
    });
    let process = handle
        .spawn(Program::new("sleep").args(["1000"]), None)
        .await
        .unwrap();
    let bytes = vec![b'x'; 1_000_000];
    let written = process.write(&bytes, true).await.unwrap();
    assert!(written > 0 && written < bytes.len(), "{written}");

    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let process = process.clone();
        waiting.spawn(async move { process.write(b"more", false).await });
    }
    let (mut took_nothing, mut busy) = (0, 0);
    while let Some(done) = waiting.join_next().await {
        match done.unwrap() {
            Ok(0) => took_nothing += 1,
            Err(Error::StdinBusy { .. }) => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((took_nothing, busy), (16, 14));
    process.kill(Signal::KILL).unwrap();
}

/// What a process is started with comes first and whole, however late it is read.
#[tokio::test]
async fn the_first_input_is_not_bounded_in_time() {
    let config = Config {
        stdin_wait: Duration::from_millis(50),
        ..config()
    };
    let handle = running_with(config);
    let request = Request {
        stdin: Some(vec![b'x'; 300_000].into()),
        ..sh("sleep 0.5; wc -c").into()
    };
    let process = handle.spawn(request, None).await.unwrap();
    // The place is taken.
    assert_eq!(process.write(b"more", false).await.unwrap(), 0);
    let closed = async { while process.write(b"more", true).await.unwrap() == 0 {} };
    timeout(PATIENCE, closed).await.unwrap();
    let all = read_to_end(&mut from_start(&process)).await;
    assert_eq!(text(&all.stdout).trim(), "300004");
}

/// A waiting write ends with the process.
#[tokio::test]
async fn a_write_does_not_outlive_the_process() {
    let handle = running();
    let process = handle
        .spawn(Program::new("sleep").args(["1000"]), None)
        .await
        .unwrap();
    let bytes = vec![b'x'; 1_000_000];
    let write = process.write(&bytes, false);
    let kill = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        process.kill(Signal::KILL).unwrap();
    };
    let (written, ()) = timeout(PATIENCE, async { tokio::join!(write, kill) })
        .await
        .unwrap();
    assert!(
        matches!(written, Err(Error::Exited { .. }) | Ok(_)),
        "{written:?}"
    );
}
