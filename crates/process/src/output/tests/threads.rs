//! Writers and readers on several threads: pace, and slots that are written again.

use super::*;

/// Three times the capacity, with readers on other threads that are cut and resumed.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn readers_that_keep_reading_lose_nothing() {
    const TOTAL: usize = 96 * 1024 * 1024;
    let (writer, output) = output(limits(32 * 1024 * 1024, 256 * 1024, BLOCK_BYTES));
    let mut readers = tokio::task::JoinSet::new();
    for cut in [0_u64, 3_000_001, 29_999_999] {
        let output = output.clone();
        readers.spawn(async move {
            let mut reader = Checked::new(&output, Offsets::default());
            while let Some(event) = reader.reader.next().await {
                reader.take(event);
                if cut > 0 && reader.place.sum() % cut < 1_000 {
                    reader = Checked {
                        lost: reader.lost,
                        ..Checked::new(&output, reader.place)
                    };
                }
            }
            (reader.place, reader.lost)
        });
    }
    let mut source = Source {
        writer,
        at: Offsets::default(),
    };
    let mut left = TOTAL;
    while left > 0 {
        let len = left.min(50_000);
        let stream = if left.is_multiple_of(3) {
            Stream::Stderr
        } else {
            Stream::Stdout
        };
        source.write(stream, len);
        source.writer.settle().await;
        left -= len;
    }
    source.writer.end();
    while let Some(ended) = readers.join_next().await {
        assert_eq!(ended.unwrap(), (source.at, 0));
    }
}

/// A reader that has stopped costs the writer one pause, not one per block.
#[tokio::test]
async fn a_stalled_reader_does_not_hold_the_writer_up() {
    let (writer, output) = output(limits(2 * 1024 * 1024, 256 * 1024, BLOCK_BYTES));
    let stalled = output.reader(Offsets::default()).unwrap();
    let mut source = Source {
        writer,
        at: Offsets::default(),
    };
    // Longer than it takes to count as stalled.
    sleep(Duration::from_millis(1_100)).await;
    let started = Instant::now();
    for _ in 0..512 {
        source.write(Stream::Stdout, BLOCK_BYTES / 2);
    }
    let writing = started.elapsed();
    let started = Instant::now();
    for _ in 0..512 {
        source.write(Stream::Stdout, BLOCK_BYTES / 2);
        pace::give_way(&source.writer.shared).await;
    }
    // A pause for each block would be as long as the floor makes it.
    let floor = Duration::from_secs(512 * (BLOCK_BYTES as u64 / 2) / FLOOR_BYTES_PER_SEC);
    assert!(started.elapsed() < writing * 2 + floor / 2);
    drop(stalled);
}

/// Slots of the file are written again while readers read them.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn readers_that_are_overtaken_get_true_bytes_and_are_told() {
    let (writer, output) = output(limits(256 * 1024, 0, 1024));
    let mut source = Source {
        writer,
        at: Offsets::default(),
    };
    let mut readers = tokio::task::JoinSet::new();
    for speed in 0..8_u64 {
        let output = output.clone();
        readers.spawn(async move {
            let mut reader = Checked::new(&output, Offsets::default());
            let mut count = 0_u64;
            while let Some(event) = reader.reader.next().await {
                reader.take(event);
                count += 1;
                if count.is_multiple_of(8 + speed) {
                    sleep(Duration::from_millis(speed)).await;
                }
            }
            (reader.place, reader.lost)
        });
    }
    for round in 0..2_000_usize {
        source.write(Stream::Stdout, 1 + round % 5_000);
        source.write(Stream::Stderr, 1 + round % 700);
        source.writer.settle().await;
    }
    source.writer.end();
    let mut lost = 0;
    while let Some(ended) = readers.join_next().await {
        let (place, lost_here) = ended.unwrap();
        assert_eq!(place, source.at);
        lost += lost_here;
    }
    assert!(lost > 0, "nobody was overtaken");
}

/// However slow a reader is, and however little is written at a time, the floor holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_slows_the_writer_no_further_than_the_floor() {
    let (writer, output) = output(limits(1024 * 1024, 256 * 1024, BLOCK_BYTES));
    let mut source = Source {
        writer,
        at: Offsets::default(),
    };
    let mut reader = Checked::new(&output, Offsets::default());
    let mut readers = tokio::task::JoinSet::new();
    readers.spawn(async move {
        while let Some(event) = reader.reader.next().await {
            reader.take(event);
            sleep(Duration::from_millis(50)).await;
        }
    });
    let started = Instant::now();
    while source.at.stdout < FLOOR_BYTES_PER_SEC / 2 {
        source.write(Stream::Stdout, 100);
        source.writer.settle().await;
    }
    source.writer.end();
    // The floor allows half a second; at the reader's own speed it would take minutes.
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
    readers.join_all().await;
}
