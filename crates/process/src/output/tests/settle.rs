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
