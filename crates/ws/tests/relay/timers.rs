//! Pings, under a paused clock.

use std::time::Duration;

use browserd_ws::relay::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};

use crate::support::{ROOM, Rig, in_memory, read_all, read_n};
use crate::wire::{BINARY, CLOSE, FIN, PONG, TEXT, masked, plain};

const PING: [u8; 2] = [0x89, 0];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn no_pings() -> Options {
    Options {
        ping_every: None,
        ..Options::default()
    }
}

/// Asserts that nothing arrives for a while.
async fn quiet(stream: &mut DuplexStream, period: Duration) {
    let mut byte = [0];
    let read = timeout(period, stream.read(&mut byte)).await;
    assert!(read.is_err(), "got {read:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_is_pinged_for_ever() {
    let mut rig = in_memory(ROOM, Options::default());
    let pong = masked(FIN | PONG, b"");
    for _ in 0..50 {
        quiet(&mut rig.client, secs(19)).await;
        assert_eq!(read_n(&mut rig.client, 2).await, PING);
        rig.client.write_all(&pong).await.unwrap();
        assert_eq!(read_n(&mut rig.upstream, pong.len()).await, pong);
    }
    assert!(!rig.relay.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_kept() {
    let mut rig = in_memory(ROOM, Options::default());
    for _ in 0..50 {
        quiet(&mut rig.client, secs(19)).await;
        assert_eq!(read_n(&mut rig.client, 2).await, PING);
    }
    assert!(!rig.relay.is_finished());
    let message = masked(FIN | TEXT, b"back again");
    rig.client.write_all(&message).await.unwrap();
    assert_eq!(read_n(&mut rig.upstream, message.len()).await, message);
}

#[tokio::test(start_paused = true)]
async fn a_ping_waits_for_the_end_of_the_frame() {
    let mut rig = in_memory(ROOM, Options::default());
    let (first, second) = (
        plain(FIN | BINARY, &[1; 5000]),
        plain(FIN | BINARY, b"the next one"),
    );
    let stream = [&first[..], &second].concat();
    // The ping falls due at 20 s, within the frame; the rest comes in pieces that run over
    // the boundary.
    rig.upstream.write_all(&stream[..3000]).await.unwrap();
    assert_eq!(read_n(&mut rig.client, 3000).await, &stream[..3000]);
    quiet(&mut rig.client, secs(25)).await;
    rig.upstream.write_all(&stream[3000..4000]).await.unwrap();
    assert_eq!(read_n(&mut rig.client, 1000).await, &stream[3000..4000]);
    rig.upstream.write_all(&stream[4000..]).await.unwrap();
    let rest = read_n(&mut rig.client, stream.len() - 4000 + 2).await;
    assert_eq!(rest, [&first[4000..], &PING, &second].concat());
}

#[tokio::test(start_paused = true)]
async fn a_ping_finds_the_boundary_after_a_split_header() {
    let mut rig = in_memory(ROOM, Options::default());
    let frame = plain(FIN | BINARY, &[7; 300]);
    for cut in [1, 2, 3] {
        rig.upstream.write_all(&frame[..cut]).await.unwrap();
        assert_eq!(read_n(&mut rig.client, cut).await, &frame[..cut]);
        quiet(&mut rig.client, secs(21)).await;
        rig.upstream
            .write_all(&[&frame[cut..], &frame[..]].concat())
            .await
            .unwrap();
        let rest = read_n(&mut rig.client, 2 * frame.len() - cut + 2).await;
        assert_eq!(
            rest,
            [&frame[cut..], &PING, &frame].concat(),
            "cut at {cut}"
        );
        rig.client
            .write_all(&masked(FIN | PONG, b""))
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_waited_for() {
    for options in [Options::default(), no_pings()] {
        let mut rig = in_memory(ROOM, options);
        let flood = plain(FIN | BINARY, &vec![3; 1 << 20]);
        let length = flood.len();
        let (mut upstream, sent) = (rig.upstream, flood.clone());
        let written = TaskWrite::start(async move { upstream.write_all(&sent).await });
        sleep(secs(3600)).await;
        assert!(!rig.relay.is_finished());
        assert_eq!(read_n(&mut rig.client, length).await, flood);
        written.0.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_within_one_frame_is_kept() {
    let Rig {
        mut client,
        mut upstream,
        relay,
        stop: _stop,
    } = in_memory(ROOM, Options::default());
    let frame = plain(FIN | BINARY, &vec![5; 2 << 20]);
    let read = async {
        let mut got = Vec::new();
        while got.len() < frame.len() {
            sleep(secs(15)).await;
            let mut piece = vec![0; 32 * 1024];
            let n = client.read(&mut piece).await.unwrap();
            assert!(n > 0, "ended after {} bytes", got.len());
            got.extend_from_slice(&piece[..n]);
        }
        got
    };
    let (written, got) = tokio::join!(upstream.write_all(&frame), read);
    written.unwrap();
    assert!(got.starts_with(&frame), "the frame was disturbed");
    // Pings come while its last bytes are still on the way, and after it only.
    assert!(got[frame.len()..].chunks(2).all(|ping| ping == PING));
    assert!(!relay.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_upstream_is_not_held_against_the_client() {
    let mut rig = in_memory(ROOM, Options::default());
    let flood = masked(FIN | TEXT, &vec![b'x'; 1 << 20]);
    let (mut from_relay, mut to_relay) = tokio::io::split(rig.client);
    let written = TaskWrite::start(async move { to_relay.write_all(&flood).await });
    for _ in 0..20 {
        assert_eq!(
            timeout(secs(25), from_relay.read_u16())
                .await
                .unwrap()
                .unwrap(),
            0x8900
        );
    }
    assert!(!rig.relay.is_finished());
    // Chromium comes back and gets all of it.
    let all = read_n(&mut rig.upstream, (1 << 20) + 14).await;
    assert_eq!(all.len(), (1 << 20) + 14);
    written.0.await.unwrap().unwrap();
}

/// A write that goes on beside the test.
struct TaskWrite(tokio::task::JoinHandle<std::io::Result<()>>);

impl TaskWrite {
    fn start(write: impl Future<Output = std::io::Result<()>> + Send + 'static) -> Self {
        Self(tokio_util::task::TaskTracker::new().spawn(write))
    }
}

#[tokio::test(start_paused = true)]
async fn without_pings_silence_is_fine() {
    let mut rig = in_memory(ROOM, no_pings());
    quiet(&mut rig.client, secs(24 * 3600)).await;
    let message = plain(FIN | TEXT, b"good morning");
    rig.upstream.write_all(&message).await.unwrap();
    assert_eq!(read_n(&mut rig.client, message.len()).await, message);
    assert!(!rig.relay.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_closing_session_is_not_pinged() {
    let options = Options {
        ping_every: Some(secs(1)),
        ..Options::default()
    };
    let mut rig = in_memory(ROOM, options);
    rig.client
        .write_all(&masked(FIN | CLOSE, b""))
        .await
        .unwrap();
    let (got, _) = read_all(&mut rig.client).await;
    assert_eq!(got, plain(FIN | CLOSE, b""), "only the close frame");
}
