//! A follower under rotation at full speed: no line lost, none twice.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use browserd_follow::{Config, Event, Follower, Line, State};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);
const LINES: u64 = 100_000;

fn create(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    path.with_extension(number.to_string())
}

/// As logrotate and supervisord do it: from the oldest to the newest.
fn rotate(path: &Path, keep: u32) {
    for number in (1..keep).rev() {
        let _ = fs::rename(numbered(path, number), numbered(path, number + 1));
    }
    fs::rename(path, numbered(path, 1)).unwrap();
}

async fn line(follower: &mut Follower) -> Line {
    loop {
        match timeout(PATIENCE, follower.next())
            .await
            .expect("a line in time")
            .unwrap()
            .unwrap()
        {
            Event::Line(line) => return line,
            Event::State(_) => {}
            gap @ Event::Gap { .. } => panic!("unexpected {gap:?}"),
        }
    }
}

/// A follower that has looked and found no file yet.
async fn waiting(path: &Path) -> Follower {
    let mut follower = Follower::new(Config::new(path)).unwrap();
    assert_eq!(
        follower.next().await.unwrap(),
        Some(Event::State(State::Missing))
    );
    follower
}

/// Lines 0 to `LINES`, each once and in order.
async fn all(follower: &mut Follower, seen: &AtomicU64) {
    for number in 0..LINES {
        let line = line(follower).await;
        assert_eq!(line.bytes, format!("line {number} of the log"));
        seen.store(number + 1, Ordering::Release);
    }
    let more = timeout(Duration::from_millis(100), follower.next()).await;
    assert!(
        !matches!(more, Ok(Ok(Some(Event::Line(_))))),
        "a line too many: {more:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renamed_at_full_speed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut follower = waiting(&path).await;
    let writer = {
        let path = path.clone();
        spawn_blocking(move || {
            let mut file = create(&path);
            for number in 0..LINES {
                writeln!(file, "line {number} of the log").unwrap();
                if number % 1_500 == 1_499 {
                    // The writer goes on in the old file for a while, as one does that is told
                    // by a signal.
                    rotate(&path, 100);
                    let new = create(&path);
                    if (number / 1_500) % 5 != 0 {
                        file = new;
                    }
                }
            }
        })
    };
    all(&mut follower, &AtomicU64::new(0)).await;
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_in_the_middle_of_lines_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut follower = waiting(&path).await;
    let writer = {
        let path = path.clone();
        spawn_blocking(move || {
            let mut text = Vec::new();
            for number in 0..LINES {
                writeln!(text, "line {number} of the log").unwrap();
            }
            for chunk in text.chunks(40_009) {
                create(&path).write_all(chunk).unwrap();
                rotate(&path, 100);
            }
            create(&path);
        })
    };
    all(&mut follower, &AtomicU64::new(0)).await;
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copied_and_truncated_at_full_speed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut follower = waiting(&path).await;
    let seen = Arc::new(AtomicU64::new(0));
    let writer = {
        let (path, seen) = (path.clone(), Arc::clone(&seen));
        spawn_blocking(move || {
            let mut file = create(&path);
            let mut burst = 0;
            for number in 0..LINES {
                writeln!(file, "line {number} of the log").unwrap();
                burst += 1;
                // Bursts of all lengths: what is written behind the truncation is at times less,
                // at times more than what was there.
                if burst == 300 + (number * 7919) % 2_900 {
                    burst = 0;
                    // What a rotator truncates before anyone has read it is lost to all.
                    while seen.load(Ordering::Acquire) <= number {
                        thread::yield_now();
                    }
                    fs::copy(&path, numbered(&path, 1)).unwrap();
                    file.set_len(0).unwrap();
                }
            }
        })
    };
    all(&mut follower, &seen).await;
    writer.await.unwrap();
}

#[tokio::test]
async fn several_rotations_between_two_looks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    writeln!(create(&path), "0").unwrap();
    let mut follower = Follower::new(Config::new(&path)).unwrap();
    assert_eq!(line(&mut follower).await.bytes, "0");
    // The follower is not polled meanwhile, so it sees the end of this only.
    for number in 1..=12 {
        rotate(&path, 20);
        writeln!(create(&path), "{number}").unwrap();
    }
    for number in 1..=12 {
        assert_eq!(line(&mut follower).await.bytes, number.to_string());
    }
}

#[tokio::test]
async fn rotations_before_the_first_look_at_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(numbered(&path, 3), "from before\n").unwrap();
    let mut follower = waiting(&path).await;
    for number in 0..3 {
        writeln!(create(&path), "{number}").unwrap();
        if number < 2 {
            rotate(&path, 5);
        }
    }
    for number in 0..3 {
        assert_eq!(line(&mut follower).await.bytes, number.to_string());
    }
}

#[tokio::test]
async fn several_rotations_by_date_with_the_first_file_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    writeln!(create(&path), "0").unwrap();
    let mut follower = Follower::new(Config::new(&path)).unwrap();
    assert_eq!(line(&mut follower).await.bytes, "0");
    writeln!(create(&path), "1").unwrap();
    fs::remove_file(&path).unwrap();
    for number in 2..=5 {
        writeln!(create(&path), "{number}").unwrap();
        let dated = dir.path().join(format!("log-2026010{number}"));
        fs::rename(&path, dated).unwrap();
    }
    writeln!(create(&path), "6").unwrap();
    for number in 1..=6 {
        assert_eq!(line(&mut follower).await.bytes, number.to_string());
    }
}

#[tokio::test]
async fn a_truncation_hidden_by_regrowth_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, "one\ntwo\n").unwrap();
    let mut follower = Follower::new(Config::new(&path)).unwrap();
    assert_eq!(line(&mut follower).await.bytes, "one");
    assert_eq!(line(&mut follower).await.bytes, "two");
    let file = OpenOptions::new().append(true).open(&path).unwrap();
    file.set_len(0).unwrap();
    (&file).write_all(b"1st\n2nd\n3rd\n").unwrap();
    for expected in ["1st", "2nd", "3rd"] {
        assert_eq!(line(&mut follower).await.bytes, expected);
    }
}

#[tokio::test]
async fn a_file_moved_to_another_directory_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut file = create(&path);
    let mut follower = Follower::new(Config::new(&path)).unwrap();
    writeln!(file, "one").unwrap();
    assert_eq!(line(&mut follower).await.bytes, "one");
    let away = dir.path().join("old");
    fs::create_dir(&away).unwrap();
    fs::rename(&path, away.join("log")).unwrap();
    writeln!(file, "two").unwrap();
    assert_eq!(line(&mut follower).await.bytes, "two");
    let mut new = create(&path);
    // The new file is seen while it is empty.
    let early = timeout(Duration::from_millis(50), follower.next()).await;
    assert!(
        !matches!(early, Ok(Ok(Some(Event::Line(_))))),
        "unexpected {early:?}"
    );
    writeln!(file, "three").unwrap();
    assert_eq!(line(&mut follower).await.bytes, "three");
    writeln!(new, "four").unwrap();
    assert_eq!(line(&mut follower).await.bytes, "four");
}
