//! A follower under rotation at full speed: no line lost, none twice.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use browserd_follow::{Config, Event, Follower, Line, Start, State};
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

/// A follower that has seen the first line and is then left alone.
async fn behind(path: &Path) -> Follower {
    writeln!(create(path), "0").unwrap();
    let mut follower = Follower::new(Config::new(path)).unwrap();
    assert_eq!(line(&mut follower).await.bytes, "0");
    follower
}

#[tokio::test]
async fn what_was_copied_and_truncated_before_it_was_read_is_read_from_the_copies() {
    for cuts in 1..=3 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(numbered(&path, 7), "from before\n").unwrap();
        let mut follower = behind(&path).await;
        let mut file = create(&path);
        for number in 1..=9 * cuts {
            writeln!(file, "{number}").unwrap();
            if number % 9 == 5 {
                for number in (1..4).rev() {
                    let _ = fs::rename(numbered(&path, number), numbered(&path, number + 1));
                }
                fs::copy(&path, numbered(&path, 1)).unwrap();
                file.set_len(0).unwrap();
            }
        }
        for number in 1..=9 * cuts {
            assert_eq!(
                line(&mut follower).await.bytes,
                number.to_string(),
                "{cuts} cuts"
            );
        }
    }
}

#[tokio::test]
async fn what_was_truncated_without_a_copy_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, "0\n").unwrap();
    let mut once = Follower::new(Config::new(&path)).unwrap();
    assert_eq!(line(&mut once).await.bytes, "0");
    // A first chunk that ends before the file does, so that more is known to be there.
    let mut file = create(&path);
    let filler = format!("{}\n", "x".repeat(99));
    file.write_all(filler.repeat(2_000).as_bytes()).unwrap();
    assert_eq!(line(&mut once).await.bytes.len(), 99);
    file.set_len(0).unwrap();
    file.write_all(b"new\n").unwrap();
    let mut read = 1_u64;
    let lost = loop {
        match timeout(PATIENCE, once.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
        {
            Event::Line(line) if line.bytes.starts_with(b"x") => {
                read += line.bytes.len() as u64 + 1;
            }
            Event::Gap { lost_bytes } => break lost_bytes.unwrap(),
            Event::Line(_) | Event::State(_) => {}
        }
    };
    assert!(
        lost > 100_000 && lost + read <= 200_099,
        "{lost} lost, {read} read"
    );
    assert_eq!(line(&mut once).await.bytes, "new");
}

#[tokio::test]
async fn a_new_file_with_the_number_of_a_deleted_one_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(numbered(&path, 1), "from before\n").unwrap();
    let mut follower = waiting(&path).await;
    // ext4 gives the inode of the file that was deleted last to the next one that is made.
    fs::remove_file(numbered(&path, 1)).unwrap();
    writeln!(create(&path), "new").unwrap();
    assert_eq!(line(&mut follower).await.bytes, "new");
}

/// A million lines at full speed, with three rotations, into a follower that keeps up as it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_lines_and_three_rotations_of_each_kind() {
    const MILLION: u64 = 1_000_000;
    for copy in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut follower = waiting(&path).await;
        let writer = {
            let path = path.clone();
            spawn_blocking(move || {
                let mut file = create(&path);
                let mut text = Vec::new();
                for number in 0..MILLION {
                    writeln!(text, "line {number} of the log").unwrap();
                    if number % 50 != 49 {
                        continue;
                    }
                    file.write_all(&text).unwrap();
                    text.clear();
                    if number % 250_000 == 249_999 && number + 1 < MILLION {
                        if copy {
                            let third = number / 250_000 + 1;
                            let to = path.with_extension(format!("2026-01-0{third}"));
                            fs::copy(&path, to).unwrap();
                            file.set_len(0).unwrap();
                        } else {
                            rotate(&path, 5);
                            file = create(&path);
                        }
                    }
                }
            })
        };
        for number in 0..MILLION {
            let line = line(&mut follower).await;
            assert_eq!(
                line.bytes,
                format!("line {number} of the log"),
                "copy: {copy}"
            );
        }
        writer.await.unwrap();
        let more = timeout(Duration::from_millis(100), follower.next()).await;
        assert!(!matches!(more, Ok(Ok(Some(Event::Line(_))))), "{more:?}");
    }
}

#[tokio::test]
async fn a_follower_that_nobody_reads_holds_up_no_other_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut stalled = behind(&path).await;
    let mut reading = Follower::new(Config::new(&path).start(Start::End)).unwrap();
    assert_eq!(
        reading.next().await.unwrap(),
        Some(Event::State(State::Reading))
    );
    for number in 1..=20_000 {
        writeln!(create(&path), "{number}").unwrap();
        if number % 5_000 == 0 {
            rotate(&path, 10);
        }
        assert_eq!(line(&mut reading).await.bytes, number.to_string());
    }
    for number in 1..=20_000 {
        assert_eq!(line(&mut stalled).await.bytes, number.to_string());
    }
}

#[tokio::test]
async fn history_is_followed_by_what_comes_without_a_seam() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let write = |number: u64| writeln!(create(&path), "{number}").unwrap();
    (0..10).for_each(write);
    let mut follower = Follower::new(Config::new(&path).start(Start::LastLines(3))).unwrap();
    for number in 7..10 {
        assert_eq!(line(&mut follower).await.bytes, number.to_string());
    }
    rotate(&path, 3);
    write(10);
    assert_eq!(line(&mut follower).await.bytes, "10");
}
