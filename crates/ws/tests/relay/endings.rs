//! How sessions end, and what each side then sees.

use std::future::{pending, ready};
use std::time::Duration;

use browserd_ws::Close;
use browserd_ws::relay::{EndedBy, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::support::{ASKED, ROOM, in_memory_asking, over_tcp, read_all, read_n, told};
use crate::wire::{BINARY, FIN, TEXT, masked, plain};

#[tokio::test]
async fn upstream_eof_between_frames_is_told() {
    let mut rig = over_tcp().await;
    let message = plain(FIN | TEXT, b"last words");
    rig.upstream.write_all(&message).await.unwrap();
    drop(rig.upstream);
    let (got, failed) = read_all(&mut rig.client).await;
    assert_eq!(
        (got, failed),
        ([message.clone(), told(ASKED)].concat(), false)
    );
    drop(rig.client);
    let ended = rig.relay.await.unwrap();
    assert_eq!(
        (ended.by, ended.code),
        (EndedBy::UpstreamGone(ASKED), Some(1012))
    );
    assert_eq!(
        (ended.to_client, ended.abort),
        (message.len() as u64, false)
    );
}

#[tokio::test]
async fn upstream_reset_between_frames_is_told() {
    let mut rig = over_tcp().await;
    rig.upstream.set_zero_linger().unwrap();
    drop(rig.upstream);
    let (got, failed) = read_all(&mut rig.client).await;
    assert_eq!((got, failed), (told(ASKED), false));
}

#[tokio::test]
async fn upstream_end_within_a_frame_is_an_abort() {
    let message = plain(FIN | BINARY, &[1; 300]);
    for cut in [1, 2, 3, 4, 299] {
        for reset in [false, true] {
            let mut rig = over_tcp().await;
            rig.upstream.write_all(&message[..cut]).await.unwrap();
            let got = read_n(&mut rig.client, cut).await;
            assert_eq!(got, &message[..cut]);
            if reset {
                rig.upstream.set_zero_linger().unwrap();
            }
            drop(rig.upstream);
            let (rest, failed) = read_all(&mut rig.client).await;
            assert_eq!((rest, failed), (Vec::new(), true), "cut at {cut}");
            let ended = rig.relay.await.unwrap();
            assert_eq!((ended.by, ended.abort), (EndedBy::UpstreamCut, true));
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_ends_the_upstream_at_once() {
    for reset in [false, true] {
        let mut rig = over_tcp().await;
        // In the middle of frames both ways.
        rig.upstream
            .write_all(&plain(FIN | BINARY, &[1; 9000])[..5000])
            .await
            .unwrap();
        read_n(&mut rig.client, 5000).await;
        let message = masked(FIN | TEXT, b"half a command");
        rig.client.write_all(&message[..10]).await.unwrap();
        assert_eq!(read_n(&mut rig.upstream, 10).await, &message[..10]);
        if reset {
            rig.client.set_zero_linger().unwrap();
        }
        drop(rig.client);
        assert_eq!(read_all(&mut rig.upstream).await.0, b"");
        let ended = rig.relay.await.unwrap();
        assert_eq!((ended.by, ended.code), (EndedBy::ClientGone, None));
    }
}

#[tokio::test]
async fn a_client_that_goes_under_a_flood_ends_the_upstream() {
    let mut rig = over_tcp().await;
    let flood = plain(FIN | BINARY, &vec![0; 32 << 20]);
    read_n(&mut rig.client, 0).await;
    let write = rig.upstream.write_all(&flood);
    let leave = async {
        let mut client = rig.client;
        read_n(&mut client, 100_000).await;
        drop(client);
    };
    let (written, ()) = tokio::join!(write, leave);
    written.unwrap_err();
    assert_eq!(rig.relay.await.unwrap().by, EndedBy::ClientGone);
}

#[tokio::test]
async fn the_close_frame_outlives_unread_bytes_of_the_client() {
    // The client is busy sending when the upstream goes, and reads only later. Closing its
    // connection with its bytes unread would reset it and take the close frame away.
    let mut rig = over_tcp().await;
    drop(rig.upstream);
    let message = masked(FIN | TEXT, &[b'x'; 1000]);
    for _ in 0..200 {
        if rig.client.write_all(&message).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    let (got, failed) = read_all(&mut rig.client).await;
    assert_eq!((got, failed), (told(ASKED), false));
}

#[tokio::test]
async fn upstreams_last_bytes_pass_though_it_takes_no_more() {
    let mut rig = over_tcp().await;
    // Unread bytes make the upstream's close a reset, and the relay's next write fails.
    rig.client
        .write_all(&masked(FIN | TEXT, &[b'x'; 1000]))
        .await
        .unwrap();
    read_n(&mut rig.upstream, 1).await;
    let last = plain(FIN | TEXT, b"target crashed");
    rig.upstream.write_all(&last).await.unwrap();
    assert_eq!(read_n(&mut rig.client, last.len()).await, last);
    drop(rig.upstream);
    rig.client
        .write_all(&masked(FIN | TEXT, b"more"))
        .await
        .unwrap();
    assert_eq!(read_all(&mut rig.client).await, (told(ASKED), false));
}

#[tokio::test]
async fn a_malformed_client_header_is_refused() {
    let mut rig = over_tcp().await;
    let whole = masked(FIN | TEXT, b"fine so far");
    let bad = [0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1];
    rig.client
        .write_all(&[&whole[..], &bad].concat())
        .await
        .unwrap();
    assert_eq!(
        read_all(&mut rig.client).await,
        (told(Close::PROTOCOL_ERROR), false)
    );
    drop(rig.client);
    assert_eq!(read_all(&mut rig.upstream).await.0, whole);
    let ended = rig.relay.await.unwrap();
    assert_eq!(
        (ended.by, ended.code),
        (EndedBy::ClientMalformed, Some(1002))
    );
}

#[tokio::test]
async fn what_can_be_followed_is_upstreams_business() {
    // Reserved opcode, reserved bits, an oversized and a fragmented ping, an unmasked frame.
    let mut rig = over_tcp().await;
    let strange = [
        masked(FIN | 0x5, b"?"),
        masked(FIN | 0x70 | TEXT, b"bits"),
        masked(FIN | 0x9, &[0; 200]),
        masked(0x9, b"part"),
        plain(FIN | TEXT, b"bare"),
    ]
    .concat();
    rig.client.write_all(&strange).await.unwrap();
    assert_eq!(read_n(&mut rig.upstream, strange.len()).await, strange);
    assert!(!rig.relay.is_finished());
}

#[tokio::test]
async fn a_malformed_upstream_header_ends_it() {
    let whole = plain(FIN | TEXT, b"fine so far");
    let bad = [0x81, 0x7F, 0xFF, 0, 0, 0, 0, 0, 0, 1];
    let mut rig = over_tcp().await;
    rig.upstream
        .write_all(&[&whole[..], &bad].concat())
        .await
        .unwrap();
    let (got, failed) = read_all(&mut rig.client).await;
    assert_eq!(
        (got, failed),
        ([whole, told(Close::UPSTREAM_LOST)].concat(), false)
    );
    drop(rig.client);
    assert_eq!(rig.relay.await.unwrap().by, EndedBy::UpstreamMalformed);

    // Part of the header has passed already: nothing can be told.
    let mut rig = over_tcp().await;
    rig.upstream.write_all(&bad[..2]).await.unwrap();
    assert_eq!(read_n(&mut rig.client, 2).await, &bad[..2]);
    rig.upstream.write_all(&bad[2..]).await.unwrap();
    assert_eq!(read_all(&mut rig.client).await, (Vec::new(), true));
    let ended = rig.relay.await.unwrap();
    assert_eq!((ended.by, ended.abort), (EndedBy::UpstreamMalformed, true));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let start = Instant::now();
    let mut rig = in_memory_asking(ROOM, Options::default(), pending);
    drop(rig.upstream);
    let (got, _) = read_all(&mut rig.client).await;
    assert_eq!(got, told(Close::UPSTREAM_LOST));
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_while_asking_is_noticed() {
    let mut rig = in_memory_asking(ROOM, Options::default(), pending);
    drop(rig.upstream);
    rig.client.write_all(b"whatever").await.unwrap();
    drop(rig.client);
    assert_eq!(rig.relay.await.unwrap().by, EndedBy::ClientGone);
}

#[tokio::test]
async fn bytes_read_with_the_handshake_come_first() {
    use browserd_ws::relay::{self, Leg};
    use bytes::Bytes;

    let (mut client, near_client) = tokio::io::duplex(ROOM);
    let (near_upstream, mut upstream) = tokio::io::duplex(ROOM);
    let early = masked(FIN | TEXT, &vec![b'e'; 300_000]);
    let greeting = plain(FIN | TEXT, b"greeting");
    let leg = |stream, ahead: &[u8]| Leg {
        stream,
        read_ahead: Bytes::copy_from_slice(ahead),
    };
    let (options, stop) = (
        Options::default(),
        tokio_util::sync::CancellationToken::new(),
    );
    let late = masked(FIN | TEXT, b"late");
    let relay = relay::run(
        leg(near_client, &early),
        leg(near_upstream, &greeting),
        &options,
        &stop,
        || ready(ASKED),
    );
    let both = async {
        client.write_all(&late).await.unwrap();
        assert_eq!(read_n(&mut client, greeting.len()).await, greeting);
        let mut got = vec![0; early.len() + late.len()];
        upstream.read_exact(&mut got).await.unwrap();
        assert!(got == [early, late].concat());
        drop(client);
    };
    let (outcome, ()) = tokio::join!(relay, both);
    assert_eq!(outcome.ended_by, EndedBy::ClientGone);
}
