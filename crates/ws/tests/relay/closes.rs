//! Close frames: passed, answered, and nothing after them.

use browserd_ws::Close;
use browserd_ws::relay::{EndedBy, Options};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::support::{ROOM, in_memory, in_memory_asking, over_tcp, read_all, read_n};
use crate::wire::{CLOSE, FIN, TEXT, close_payload, frames, masked, plain};

#[tokio::test]
async fn upstream_close_is_passed_and_nothing_added() {
    let mut rig = over_tcp().await;
    let close = plain(FIN | CLOSE, &close_payload(1000, "bye"));
    rig.upstream.write_all(&close).await.unwrap();
    drop(rig.upstream);
    let (got, failed) = read_all(&mut rig.client).await;
    assert_eq!((got, failed), (close, false));
    drop(rig.client);
    let ended = rig.relay.await.unwrap();
    assert_eq!(
        (ended.by, ended.code),
        (EndedBy::UpstreamClosed, Some(1000))
    );
}

#[tokio::test]
async fn bytes_after_the_upstreams_close_are_dropped() {
    let mut rig = over_tcp().await;
    let close = plain(FIN | CLOSE, &close_payload(4000, ""));
    let stray = plain(FIN | TEXT, b"too late");
    rig.upstream
        .write_all(&[&close[..], &stray].concat())
        .await
        .unwrap();
    rig.upstream.write_all(&stray).await.unwrap();
    assert_eq!(read_n(&mut rig.client, close.len()).await, close);
    let answer = masked(FIN | CLOSE, &close_payload(4000, ""));
    rig.client.write_all(&answer).await.unwrap();
    // Both closes have passed: that ends it, with the upstream still open.
    assert_eq!(read_all(&mut rig.client).await, (Vec::new(), false));
    assert_eq!(read_n(&mut rig.upstream, answer.len()).await, answer);
    drop(rig.client);
    assert_eq!(rig.relay.await.unwrap().by, EndedBy::UpstreamClosed);
}

#[tokio::test]
async fn bytes_after_the_clients_close_are_dropped() {
    let mut rig = over_tcp().await;
    let close = masked(FIN | CLOSE, &close_payload(1000, ""));
    let stray = masked(FIN | TEXT, b"too late");
    rig.client
        .write_all(&[&close[..], &stray, &stray].concat())
        .await
        .unwrap();
    rig.client.write_all(&stray).await.unwrap();
    assert_eq!(read_n(&mut rig.upstream, close.len()).await, close);
    // What the upstream still has to say passes, before its own close.
    let last = plain(FIN | TEXT, b"an event");
    let answer = plain(FIN | CLOSE, &close_payload(1000, ""));
    rig.upstream
        .write_all(&[&last[..], &answer].concat())
        .await
        .unwrap();
    assert_eq!(read_all(&mut rig.upstream).await.0, b"");
    assert_eq!(
        read_all(&mut rig.client).await,
        ([last, answer].concat(), false)
    );
    drop(rig.client);
    let ended = rig.relay.await.unwrap();
    assert_eq!((ended.by, ended.code), (EndedBy::ClientClosed, Some(1000)));
    assert_eq!(ended.to_upstream, close.len() as u64);
}

#[tokio::test]
async fn a_clients_close_that_upstream_answers_by_eof_is_answered() {
    for payload in [close_payload(4321, "enough"), Vec::new()] {
        let mut rig = over_tcp().await;
        let close = masked(FIN | CLOSE, &payload);
        rig.client.write_all(&close).await.unwrap();
        assert_eq!(read_n(&mut rig.upstream, close.len()).await, close);
        drop(rig.upstream);
        let (got, failed) = read_all(&mut rig.client).await;
        assert!(!failed);
        assert_eq!(got, plain(FIN | CLOSE, &payload[..payload.len().min(2)]));
        drop(rig.client);
        assert_eq!(rig.relay.await.unwrap().by, EndedBy::ClientClosed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clients_close_that_nobody_answers_is_answered() {
    let start = Instant::now();
    let mut rig = in_memory(ROOM, Options::default());
    let close = masked(FIN | CLOSE, &close_payload(1001, "tab closed"));
    rig.client.write_all(&close).await.unwrap();
    let (got, _) = read_all(&mut rig.client).await;
    assert_eq!(got, plain(FIN | CLOSE, &close_payload(1001, "")));
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_upstreams_close_that_nobody_answers_ends_it() {
    let start = Instant::now();
    let mut rig = in_memory(ROOM, Options::default());
    let close = plain(FIN | CLOSE, &close_payload(1000, ""));
    rig.upstream.write_all(&close).await.unwrap();
    let (got, _) = read_all(&mut rig.client).await;
    assert_eq!(got, close);
    assert_eq!(rig.relay.await.unwrap().by, EndedBy::UpstreamClosed);
    // Three for the answer, one for the client to read and leave.
    assert_eq!(start.elapsed().as_secs(), 4);
}

#[tokio::test]
async fn a_close_with_fin_behind_it_reaches_upstream() {
    let mut rig = over_tcp().await;
    let close = masked(FIN | CLOSE, &close_payload(1000, ""));
    rig.client.write_all(&close).await.unwrap();
    rig.client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut rig.upstream).await, (close, false));
    assert_eq!(rig.relay.await.unwrap().by, EndedBy::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn the_owner_is_not_asked_without_need() {
    let never = || -> std::future::Ready<Close> { panic!("asked without need") };
    let mut rig = in_memory_asking(ROOM, Options::default(), never);
    rig.client
        .write_all(&masked(FIN | CLOSE, b""))
        .await
        .unwrap();
    drop(rig.upstream);
    let (got, _) = read_all(&mut rig.client).await;
    assert_eq!(frames(got).0[0].code(), None);
    drop(rig.client);
    assert_eq!(rig.relay.await.unwrap().by, EndedBy::ClientClosed);
}
