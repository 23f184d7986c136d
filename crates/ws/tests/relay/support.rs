//! A relay with both far ends in the test's hands.

use std::future::{Future, ready};

use browserd_ws::Close;
use browserd_ws::relay::{self, EndedBy, Leg, Options, Outcome};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::wire::{CLOSE, FIN, close_payload, plain};

/// What the relay tells when it has to ask.
pub(crate) const ASKED: Close = Close::BROWSER_RESTARTED;

/// What an in-memory stream holds, mostly.
pub(crate) const ROOM: usize = 64 * 1024;

/// A running relay. `S` is what both far ends are.
pub(crate) struct Rig<S> {
    pub(crate) client: S,
    pub(crate) upstream: S,
    pub(crate) stop: CancellationToken,
    pub(crate) relay: JoinHandle<Ended>,
}

/// An outcome whose streams are gone as the server drops them: reset or closed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) by: EndedBy,
    pub(crate) code: Option<u16>,
    pub(crate) to_upstream: u64,
    pub(crate) to_client: u64,
    pub(crate) abort: bool,
}

/// A stream that can be dropped so that its peer sees a reset.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    fn reset(self);
}

impl Stream for TcpStream {
    fn reset(self) {
        self.set_zero_linger().unwrap();
    }
}

impl Stream for DuplexStream {
    fn reset(self) {}
}

impl Ended {
    fn new<S: Stream>(outcome: Outcome<S, S>) -> Self {
        let ended = Self {
            by: outcome.ended_by,
            code: outcome.close_code,
            to_upstream: outcome.to_upstream_bytes,
            to_client: outcome.to_client_bytes,
            abort: outcome.abort,
        };
        if outcome.abort {
            outcome.client.reset();
        }
        ended
    }
}

/// Two ends of one loopback connection.
pub(crate) async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, far) = (near.unwrap(), far.unwrap().0);
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (near, far)
}

/// Relays over loopback TCP with the default options; an upstream that ends is [`ASKED`].
pub(crate) async fn over_tcp() -> Rig<TcpStream> {
    let (client, near_client) = tcp().await;
    let (near_upstream, upstream) = tcp().await;
    rig(
        client,
        near_client,
        near_upstream,
        upstream,
        Options::default(),
        || ready(ASKED),
    )
}

/// Relays over in-memory streams that hold `room` bytes each way.
pub(crate) fn in_memory(room: usize, options: Options) -> Rig<DuplexStream> {
    in_memory_asking(room, options, || ready(ASKED))
}

/// The same, with what is done to find out why the upstream ended.
pub(crate) fn in_memory_asking<F, Fut>(room: usize, options: Options, ask: F) -> Rig<DuplexStream>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Close> + Send,
{
    let (client, near_client) = duplex(room);
    let (near_upstream, upstream) = duplex(room);
    rig(client, near_client, near_upstream, upstream, options, ask)
}

fn rig<S, F, Fut>(
    client: S,
    near_client: S,
    near_upstream: S,
    upstream: S,
    options: Options,
    ask: F,
) -> Rig<S>
where
    S: Stream,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Close> + Send,
{
    let stop = CancellationToken::new();
    let token = stop.clone();
    let relay = TaskTracker::new().spawn(async move {
        let leg = |stream| Leg {
            stream,
            read_ahead: Bytes::new(),
        };
        let outcome = relay::run(leg(near_client), leg(near_upstream), &options, &token, ask).await;
        Ended::new(outcome)
    });
    Rig {
        client,
        upstream,
        stop,
        relay,
    }
}

/// Reads to the end; an error counts as one. Tells whether it was an error.
pub(crate) async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let failed = stream.read_to_end(&mut bytes).await.is_err();
    (bytes, failed)
}

/// Reads exactly `n` bytes.
pub(crate) async fn read_n(stream: &mut (impl AsyncRead + Unpin), n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// A close frame from the relay.
pub(crate) fn told(close: Close) -> Vec<u8> {
    plain(FIN | CLOSE, &close_payload(close.code, close.reason))
}
