//! Which files beside a log are what it was before, and in which order.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    time::Duration,
};

use browserd_follow::{Config, Event, Follower, State};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

fn append(path: &Path, text: &str) -> File {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Waits until the clock of the file system has moved on, by which files are told apart.
fn next_tick(dir: &Path) {
    let probe = dir.join("probe");
    let now = || {
        let _ = fs::remove_file(&probe);
        File::create(&probe)
            .unwrap()
            .metadata()
            .unwrap()
            .created()
            .unwrap()
    };
    let before = now();
    while now() == before {
        std::thread::yield_now();
    }
}

/// What comes next, but for the state of the path.
async fn next(follower: &mut Follower) -> String {
    loop {
        let event = timeout(PATIENCE, follower.next())
            .await
            .expect("an event in time");
        match event.unwrap().unwrap() {
            Event::Line(line) => return String::from_utf8(line.bytes.to_vec()).unwrap(),
            Event::State(State::Reading | State::Missing) => {}
            other => return format!("{other:?}"),
        }
    }
}

/// A follower that has read "0", the only line.
async fn begun(path: &Path) -> Follower {
    append(path, "0\n");
    let mut follower = Follower::new(Config::new(path)).unwrap();
    assert_eq!(next(&mut follower).await, "0");
    follower
}

/// Lets the follower see what there is; there is nothing to read.
async fn looks(follower: &mut Follower) {
    let nothing = timeout(Duration::from_millis(100), follower.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn numbers_that_rise_are_read_in_their_order() {
    for suffixes in [["1", "2", "3"], ["20261121", "20261122", "20261123"]] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut follower = begun(&path).await;
        for (index, suffix) in suffixes.iter().enumerate() {
            next_tick(dir.path());
            fs::rename(&path, dir.path().join(format!("log.{suffix}"))).unwrap();
            append(&path, &format!("{}\n", index + 1));
        }
        for number in ["1", "2", "3"] {
            assert_eq!(next(&mut follower).await, number);
        }
        looks(&mut follower).await;
    }
}

#[tokio::test]
async fn a_log_of_its_own_beside_it_is_no_generation() {
    for other in ["log.err", "log-debug", "log.info", "log_x"] {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("log"), dir.path().join(other));
        let mut follower = begun(&path).await;
        append(&other, "other\n");
        next_tick(dir.path());
        fs::rename(&path, dir.path().join("log.1")).unwrap();
        append(&path, "1\n");
        append(&other, "other\n");
        assert_eq!(next(&mut follower).await, "1");
        let file = append(&path, "2\n");
        append(&other, "other\n");
        assert_eq!(next(&mut follower).await, "2");
        file.set_len(0).unwrap();
        append(&path, "33\n");
        assert_eq!(next(&mut follower).await, "33");
        looks(&mut follower).await;
    }
}

#[tokio::test]
async fn a_burst_into_a_new_file_that_is_cut_before_it_is_read_comes_from_its_copy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut follower = begun(&path).await;
    fs::rename(&path, dir.path().join("log.1")).unwrap();
    let new = append(&path, "");
    looks(&mut follower).await;
    next_tick(dir.path());
    append(&path, "burst\n");
    fs::copy(&path, dir.path().join("log.2026-01-01")).unwrap();
    new.set_len(0).unwrap();
    append(&path, "after\n");
    for text in ["burst", "after"] {
        assert_eq!(next(&mut follower).await, text);
    }
    looks(&mut follower).await;
}

#[tokio::test]
async fn a_cut_file_that_is_cut_again_while_copies_are_read_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut follower = begun(&path).await;
    let file = append(&path, "one\n");
    let cut = |number: u32| {
        next_tick(dir.path());
        fs::copy(&path, dir.path().join(format!("log.2026-01-0{number}"))).unwrap();
        file.set_len(0).unwrap();
    };
    cut(1);
    append(&path, "two\n");
    cut(2);
    append(&path, "three\n");
    // The first copy is read now, and the file after it was looked into.
    for text in ["one", "two"] {
        assert_eq!(next(&mut follower).await, text);
    }
    cut(3);
    append(&path, "four\n");
    for text in ["three", "four"] {
        assert_eq!(next(&mut follower).await, text);
    }
}

#[tokio::test]
async fn a_copy_that_was_replaced_before_it_was_read_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut follower = begun(&path).await;
    for text in ["lost\n", "kept\n"] {
        let file = append(&path, text);
        next_tick(dir.path());
        fs::copy(&path, dir.path().join("log.1")).unwrap();
        file.set_len(0).unwrap();
    }
    append(&path, "new\n");
    for event in ["Gap { lost_bytes: None }", "kept", "new"] {
        assert_eq!(next(&mut follower).await, event);
    }
}
