//! The daemon stops while sessions are open.

use std::future::pending;
use std::time::Duration;

use browserd_ws::Close;
use browserd_ws::relay::{EndedBy, Options};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{ROOM, in_memory, in_memory_asking, over_tcp, read_all, read_n, told};
use crate::wire::{BINARY, FIN, TEXT, plain};

fn quiet() -> Options {
    Options {
        ping_every: None,
        ..Options::default()
    }
}

#[tokio::test]
async fn stop_between_frames_is_told_at_once() {
    let mut rig = over_tcp().await;
    let message = plain(FIN | TEXT, b"whole");
    rig.upstream.write_all(&message).await.unwrap();
    assert_eq!(read_n(&mut rig.client, message.len()).await, message);
    let start = Instant::now();
    rig.stop.cancel();
    assert_eq!(
        read_all(&mut rig.client).await,
        (told(Close::GOING_AWAY), false)
    );
    drop(rig.client);
    let ended = rig.relay.await.unwrap();
    assert_eq!(
        (ended.by, ended.code, ended.abort),
        (EndedBy::Stopped, Some(1001), false)
    );
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn stop_within_a_frame_waits_for_its_end_and_no_further() {
    let mut rig = in_memory(ROOM, Options::default());
    let (first, second) = (
        plain(FIN | TEXT, &[b'1'; 500]),
        plain(FIN | TEXT, &[b'2'; 500]),
    );
    rig.upstream.write_all(&first[..200]).await.unwrap();
    assert_eq!(read_n(&mut rig.client, 200).await, &first[..200]);
    rig.stop.cancel();
    sleep(Duration::from_millis(1900)).await;
    rig.upstream
        .write_all(&[&first[200..], &second].concat())
        .await
        .unwrap();
    let (rest, _) = read_all(&mut rig.client).await;
    assert_eq!(rest, [&first[200..], &told(Close::GOING_AWAY)[..]].concat());
    assert_eq!(rig.relay.await.unwrap().by, EndedBy::Stopped);
}

#[tokio::test(start_paused = true)]
async fn stop_within_a_frame_that_does_not_end_is_an_abort() {
    let start = Instant::now();
    let mut rig = in_memory(ROOM, Options::default());
    rig.upstream
        .write_all(&plain(FIN | TEXT, &[b'1'; 500])[..200])
        .await
        .unwrap();
    read_n(&mut rig.client, 200).await;
    rig.stop.cancel();
    assert_eq!(read_all(&mut rig.client).await.0, b"");
    let ended = rig.relay.await.unwrap();
    assert_eq!((ended.by, ended.abort), (EndedBy::Stopped, true));
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn stop_is_over_in_three_seconds_whatever_the_client_does() {
    // Takes nothing while a frame is under way; takes everything and stays; takes no close.
    for (sent, abort) in [(ROOM * 3, true), (100, false), (ROOM - 4, true)] {
        let start = Instant::now();
        let mut rig = in_memory(ROOM, quiet());
        let message = plain(FIN | BINARY, &vec![0; sent]);
        let _ = timeout(Duration::from_millis(1), rig.upstream.write_all(&message)).await;
        sleep(Duration::from_millis(1)).await;
        rig.stop.cancel();
        let ended = rig.relay.await.unwrap();
        assert_eq!(
            (ended.by, ended.abort),
            (EndedBy::Stopped, abort),
            "{sent} bytes"
        );
        assert!(
            start.elapsed() <= Duration::from_millis(3010),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn stop_while_asking_is_told_at_once() {
    let start = Instant::now();
    let mut rig = in_memory_asking(ROOM, Options::default(), pending);
    drop(rig.upstream);
    sleep(Duration::from_secs(1)).await;
    rig.stop.cancel();
    let (got, _) = read_all(&mut rig.client).await;
    assert_eq!(got, told(Close::GOING_AWAY));
    assert_eq!(start.elapsed().as_secs(), 1);
}
