//! What a process that writes without end costs the daemon.
//!
//! Alone in its program, as it measures the memory of all of it. `PROCESS_TEST_SECONDS` makes it
//! run longer.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test hands its own environment on, and is told its size by it"
)]

use std::fs;
use std::time::Duration;

use browserd_process::{Config, Environment, Event, Offsets, Program, Secrets, Signal, start};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

fn rss_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn seconds() -> u64 {
    let set = std::env::vars().find(|(name, _)| name == "PROCESS_TEST_SECONDS");
    set.map_or(5, |(_, value)| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yes_without_a_reader_stays_small_and_is_never_held_up() {
    let environment = Environment::without(&Secrets::new(), std::env::vars_os());
    let (handle, work) = start(Config::new(environment), CancellationToken::new()).unwrap();
    tokio::runtime::Handle::current().spawn(work);
    let process = handle.spawn(Program::new("yes"), None).await.unwrap();
    let written = || {
        let io = fs::read_to_string(format!("/proc/{}/io", process.pid())).unwrap();
        let line = io.lines().find(|line| line.starts_with("wchar")).unwrap();
        line.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
    };
    sleep(Duration::from_secs(1)).await;
    let (before, mut last) = (rss_bytes(), written());
    for _ in 0..seconds() {
        sleep(Duration::from_secs(1)).await;
        let now = written();
        assert!(now > last + 10_000_000, "yes was held up: {last} {now}");
        last = now;
        let grown = rss_bytes().saturating_sub(before);
        assert!(grown < 8 * 1024 * 1024, "grown by {grown} bytes");
    }

    let mut reader = process.output(Offsets::default()).unwrap();
    let (mut head, mut gap, mut tail) = (0, 0, 0);
    process.kill(Signal::KILL).unwrap();
    while let Some(event) = reader.next().await {
        match event {
            Event::Data { bytes, .. } if gap == 0 => head += bytes.len(),
            Event::Data { bytes, .. } => tail += bytes.len(),
            Event::Gap { lost_bytes, .. } => gap += lost_bytes,
        }
    }
    assert!(
        head > 32_000_000 && tail > 32_000_000 && gap > 0,
        "{head} {gap} {tail}"
    );
    assert!((head + tail) <= 64 * 1024 * 1024);
    assert_eq!(process.ended().await.exit.code(), 137);
}
