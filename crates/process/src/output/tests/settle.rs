//! Moving blocks to the file, by several at once.

use std::sync::Arc;

use super::*;

/// As when a process has exited and what it left behind writes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_settle_write_each_block_once() {
    const LEN: usize = 1_000;
    for _ in 0..20 {
        let (writer, output) = output(limits(1 << 20, 1024, 1024));
        let mut source = Source {
            writer,
            at: Offsets::default(),
        };
        for _ in 0..200 {
            source.write(Stream::Stdout, LEN);
        }
        source.writer.end();
        let Source { writer, at } = source;
        let writer = Arc::new(writer);
        let other = Arc::clone(&writer);
        let other = tokio::runtime::Handle::current().spawn(async move { other.settle().await });
        writer.settle().await;
        other.await.unwrap();

        let blocks = at.sum().div_ceil(1024 - 4);
        let places = writer.shared.log().places();
        assert!(places <= blocks, "{places} places for {blocks} blocks");
        let mut reader = Checked::new(&output, Offsets::default());
        reader.read_to_end().await;
        assert_eq!((reader.place, reader.lost), (at, 0));
    }
}

/// What the disk does not take is a gap; what it had taken is given back with the output.
#[tokio::test]
async fn outputs_share_the_disk_and_the_rest_is_a_gap() {
    let disk = Budget::new(8 * 1024);
    for _ in 0..2 {
        let (writer, output) = output(Limits {
            disk: disk.clone(),
            ..limits(1 << 20, 2048, 1024)
        });
        let mut source = Source {
            writer,
            at: Offsets::default(),
        };
        for _ in 0..200 {
            source.write(Stream::Stdout, 1_000);
            source.writer.settle().await;
        }
        source.writer.end();
        source.writer.settle().await;
        assert_eq!(disk.used(), 8 * 1024);
        let mut reader = Checked::new(&output, Offsets::default());
        reader.read_to_end().await;
        assert_eq!(reader.place, source.at);
        let kept = source.at.sum() - reader.lost;
        assert!((9_000..13_000).contains(&kept), "{kept}");
        drop((reader, source, output));
        assert_eq!(disk.used(), 0);
    }
}
