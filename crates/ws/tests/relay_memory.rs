//! Messages of hundreds of megabytes, and clients that do not read them, in flat memory.
//!
//! The relay and both far ends share this process, so that its resident memory bounds the
//! relay's. Nothing here holds a message: payloads are made and checked piece by piece.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::future::ready;
use std::time::Duration;

use browserd_ws::Close;
use browserd_ws::relay::{self, Leg, Options};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const MIB: usize = 1 << 20;
const PIECE: usize = 64 * 1024;
/// What the process may grow by. One message is far bigger.
const SLACK_KIB: u64 = 3 * 1024;

/// Held by each test: memory is the process's, so one runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// A running relay's two far ends.
async fn relayed(tracker: &TaskTracker, stop: &CancellationToken) -> (TcpStream, TcpStream) {
    let (client, near_client) = tcp().await;
    let (near_upstream, upstream) = tcp().await;
    let stop = stop.clone();
    tracker.spawn(async move {
        let leg = |stream| Leg {
            stream,
            read_ahead: Bytes::new(),
        };
        let ask = || ready(Close::UPSTREAM_LOST);
        relay::run(
            leg(near_client),
            leg(near_upstream),
            &Options::default(),
            &stop,
            ask,
        )
        .await
    });
    (client, upstream)
}

/// The header of one unmasked or masked (with a key of zeros) text frame.
fn header(length: usize, masked: bool) -> Vec<u8> {
    let mut head = vec![0x81, if masked { 0xFF } else { 0x7F }];
    head.extend((length as u64).to_be_bytes());
    head.extend(&[0; 4][..if masked { 4 } else { 0 }]);
    head
}

/// Payloads, piece by piece; no piece looks like the one before.
struct Pattern(Vec<u8>);

impl Pattern {
    fn new() -> Self {
        Self(
            (0..2 * PIECE)
                .map(|at| u8::try_from(at * 7 % 251).unwrap())
                .collect(),
        )
    }

    fn at(&self, offset: usize) -> &[u8] {
        let start = offset / PIECE * 31 % PIECE;
        &self.0[start..start + PIECE]
    }
}

async fn send(to: &mut TcpStream, length: usize, masked: bool) {
    to.write_all(&header(length, masked)).await.unwrap();
    let pattern = Pattern::new();
    for offset in (0..length).step_by(PIECE) {
        to.write_all(pattern.at(offset)).await.unwrap();
    }
}

/// Checks a message as it comes; returns the highest resident memory on the way.
async fn check(from: &mut TcpStream, length: usize, masked: bool) -> u64 {
    let mut head = header(length, masked);
    let wanted = head.clone();
    from.read_exact(&mut head).await.unwrap();
    assert_eq!(head, wanted);
    let (pattern, mut piece, mut highest) = (Pattern::new(), vec![0; PIECE], 0);
    for offset in (0..length).step_by(PIECE) {
        from.read_exact(&mut piece).await.unwrap();
        assert!(piece == pattern.at(offset), "changed near {offset}");
        if offset % (4 * MIB) == 0 {
            highest = highest.max(resident_kib());
        }
    }
    highest
}

#[tokio::test]
async fn memory_is_flat_whatever_passes_and_whoever_stalls() {
    let _alone = ALONE.lock().await;
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let (mut client, mut upstream) = relayed(&tracker, &stop).await;
    // Everything that is allocated once is by now.
    let warm = 4 * MIB;
    tokio::join!(
        send(&mut client, warm, true),
        check(&mut upstream, warm, true)
    );
    tokio::join!(
        send(&mut upstream, warm, false),
        check(&mut client, warm, false)
    );
    let before = resident_kib();

    let length = 90 * MIB;
    let ((), highest) = tokio::join!(
        send(&mut client, length, true),
        check(&mut upstream, length, true)
    );
    assert!(
        highest < before + SLACK_KIB,
        "90 MiB in: {before} KiB grew to {highest} KiB"
    );

    let length = 200 * MIB;
    let ((), highest) = tokio::join!(
        send(&mut upstream, length, false),
        check(&mut client, length, false)
    );
    assert!(
        highest < before + SLACK_KIB,
        "200 MiB out: {before} KiB grew to {highest} KiB"
    );

    stalled_client(&tracker, &stop, client, upstream, before).await;
    stop.cancel();
}

/// A client that reads nothing while its upstream floods it: the upstream is held back, the
/// other session is not, and every byte is there when the client reads again.
async fn stalled_client(
    tracker: &TaskTracker,
    stop: &CancellationToken,
    mut other_client: TcpStream,
    mut other_upstream: TcpStream,
    before: u64,
) {
    let (mut client, mut upstream) = relayed(tracker, stop).await;
    let (length, events) = (MIB, 200);
    let flood = async {
        for _ in 0..events {
            send(&mut upstream, length, false).await;
        }
    };
    let mut flood = std::pin::pin!(flood);
    timeout(Duration::from_secs(1), flood.as_mut())
        .await
        .expect_err("a stalled client takes all");
    let stalled = resident_kib();
    assert!(
        stalled < before + SLACK_KIB,
        "stalled: {before} KiB grew to {stalled} KiB"
    );

    let round_trips = async {
        for _ in 0..100 {
            send(&mut other_client, PIECE, true).await;
            check(&mut other_upstream, PIECE, true).await;
            send(&mut other_upstream, PIECE, false).await;
            check(&mut other_client, PIECE, false).await;
        }
    };
    timeout(Duration::from_secs(10), round_trips)
        .await
        .expect("the other session is disturbed");

    let read = async {
        let mut highest = 0;
        for _ in 0..events {
            highest = check(&mut client, length, false).await.max(highest);
        }
        highest
    };
    let ((), highest) = tokio::join!(flood, read);
    assert!(
        highest < before + SLACK_KIB,
        "after: {before} KiB grew to {highest} KiB"
    );
}

/// Idle sessions hold no buffers, also after traffic.
#[tokio::test]
async fn idle_sessions_are_small() {
    const SESSIONS: usize = 200;
    let _alone = ALONE.lock().await;
    // Their sockets are the kernel's memory; what is counted is this process's.
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let warm = relayed(&tracker, &stop).await;
    let before = resident_kib();
    let mut ends = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let (mut client, mut upstream) = relayed(&tracker, &stop).await;
        tokio::join!(
            send(&mut client, 4 * MIB, true),
            check(&mut upstream, 4 * MIB, true)
        );
        tokio::join!(
            send(&mut upstream, 4 * MIB, false),
            check(&mut client, 4 * MIB, false)
        );
        ends.push((client, upstream));
    }
    let each = resident_kib().saturating_sub(before) / SESSIONS as u64;
    assert!(each <= 32, "{each} KiB a session");
    drop((warm, ends));
    tracker.close();
    timeout(Duration::from_secs(5), tracker.wait())
        .await
        .expect("all sessions end");
}
