//! The accept loop and one task per connection.

mod admission;
mod any_query;
mod head_deadline;
mod in_flight;
mod linger;
mod outbox;

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::service_fn,
    upgrade::{Parts, Upgraded},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::ifaddrs::getifaddrs;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use self::{
    admission::Admitted, any_query::AnyQuery, head_deadline::HeadDeadline, in_flight::InFlight,
    linger::Linger, outbox::FileStream,
};
pub(crate) use self::{
    admission::{Admission, Place},
    outbox::Outbox,
};

/// How long an idle connection is kept for its next request. Longer than the 60 s for
/// which common gateways keep theirs, so that the gateway is the one to close.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// The pause after `accept` failed for lack of descriptors: there is no event to wait for.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The least time between two probes of a connection, which the kernel counts in seconds.
const LEAST_PROBE: Duration = Duration::from_secs(1);
/// The largest request head, in bytes. Beyond it the answer is 431.
const LARGEST_HEAD: usize = 64 * 1024;
/// The answer to a connection above the limit, written without a look at its request.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 116\r\n\r\n\
    {\"message\":\"too many connections at once (MAX_CONNECTIONS)\",\"code\":\"upstream_unavailable\",\"request_id\":\"unassigned\"}";

/// What bounds the connections of all listeners.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once, upgraded ones among them. One above is answered 503.
    pub connections: usize,
    /// How long a request head may take from its first byte to its last.
    pub header_timeout: Duration,
    /// How long a peer may acknowledge nothing, or leave no room for what waits, before its
    /// connection counts as gone.
    pub peer_timeout: Duration,
    /// Bytes that a JSON body may have. One with more is answered 413.
    pub json_body_bytes: usize,
}

/// Who is at the other end of a connection; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// The listener that the connection came in on.
    pub(crate) listener: &'static str,
    /// The other end. An IPv4 address is never given in its IPv6-mapped form.
    pub(crate) address: SocketAddr,
    /// Whether the other end has one of this machine's own addresses.
    pub(crate) own_machine: bool,
}

impl Peer {
    fn new(listener: &'static str, address: SocketAddr) -> Self {
        let ip = address.ip().to_canonical();
        let own_machine = ip.is_loopback() || has_address(ip);
        Self {
            listener,
            address: SocketAddr::new(ip, address.port()),
            own_machine,
        }
    }
}

/// Whether an interface of this machine has this address. Unreadable interfaces count as
/// a yes: the stricter rule then applies.
fn has_address(ip: IpAddr) -> bool {
    let Ok(interfaces) = getifaddrs() else {
        return true;
    };
    interfaces
        .filter_map(|interface| interface.address)
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .any(|own| own.to_canonical() == ip)
}

/// A bound socket with what it serves.
pub(crate) struct Listener {
    pub(crate) name: &'static str,
    /// Whether a query may have bytes that belong into none, as Chromium takes them.
    pub(crate) any_query: bool,
    pub(crate) socket: TcpListener,
    pub(crate) router: Router,
}

/// What the connections of all listeners share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) admission: Admission,
    /// Cancelled when no more is accepted and idle connections close.
    pub(crate) stop: CancellationToken,
    pub(crate) tracker: TaskTracker,
}

impl Listener {
    /// Accepts until `stop`; the connections go on in tasks of their own.
    pub(crate) async fn serve(self, shared: Shared) {
        loop {
            let accepted = tokio::select! {
                // Stopping comes first: a busy listener would otherwise never see it.
                biased;
                () = shared.stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address, &shared),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr, shared: &Shared) {
        let place = match shared.admission.admit() {
            Admitted::In(place) => place,
            Admitted::Told(permit) => {
                shared
                    .tracker
                    .spawn(turn_away(stream, permit, shared.clone()));
                return;
            }
            Admitted::Out => return,
        };
        if let Err(error) = tune(&stream, shared.limits.peer_timeout) {
            tracing::debug!(%error, "cannot set the options of a connection");
        }
        let peer = Peer::new(self.name, address);
        let router = self.router.clone();
        let connection = connection(stream, place, peer, self.any_query, router, shared.clone());
        shared.tracker.spawn(connection);
    }
}

/// Has small messages of a relay wait for no acknowledgement, and the kernel find out when the
/// peer is gone. A client that merely does not answer is not gone: its kernel acknowledges.
fn tune(stream: &TcpStream, peer_timeout: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    // Where nothing is under way, only a probe tells.
    let keepalive = TcpKeepalive::new()
        .with_time((peer_timeout / 2).max(LEAST_PROBE))
        .with_interval((peer_timeout / 8).max(LEAST_PROBE));
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(peer_timeout))
}

/// The socket under a connection that was upgraded.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    /// What was read past the handshake.
    pub(crate) read_ahead: Bytes,
    /// To be held until the connection has ended.
    pub(crate) place: Place,
}

/// What is under a connection that was upgraded.
pub(crate) fn unwrap(upgraded: Upgraded) -> Socket {
    let Parts { io, read_buf, .. } = upgraded
        .downcast::<TokioIo<HeadDeadline<AnyQuery<FileStream>>>>()
        .expect("every connection that the listener serves is of this type");
    let (stream, unread) = io.into_inner().into_inner().into_parts();
    let read_ahead = if unread.is_empty() {
        read_buf
    } else {
        [read_buf, unread].concat().into()
    };
    let (stream, place) = stream.into_parts();
    Socket {
        stream,
        read_ahead,
        place,
    }
}

/// Whether `accept` failed because that one connection was already gone.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionAborted | ConnectionReset
    )
}

/// A client that does not even take these bytes is simply dropped, and so is every one at the end.
async fn turn_away(mut stream: TcpStream, _permit: OwnedSemaphorePermit, shared: Shared) {
    let linger = Linger::new(shared.stop.clone());
    let telling = async {
        stream.write_all(TOO_MANY).await?;
        linger.shutdown(&mut stream).await
    };
    tokio::select! {
        () = shared.stop.cancelled() => {}
        _ = tokio::time::timeout(shared.limits.header_timeout, telling) => {}
    }
}

async fn connection(
    stream: TcpStream,
    place: Place,
    peer: Peer,
    any_query: bool,
    router: Router,
    shared: Shared,
) {
    let (in_flight, outbox) = (InFlight::default(), Outbox::default());
    let linger = Linger::new(shared.stop.clone());
    let stream = FileStream::new(stream, place, outbox.clone(), linger);
    let stream = if any_query {
        AnyQuery::new(stream)
    } else {
        AnyQuery::verbatim(stream)
    };
    let io = HeadDeadline::new(stream, shared.limits.header_timeout, in_flight.clone());
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        let held = in_flight.begin();
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(outbox.clone());
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            // The router's own error type has no values.
            let response = answer.await?;
            Ok::<_, Infallible>(response.map(|body| held.until_sent(body)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .max_header_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        () = shared.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        ended = connection.as_mut() => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %peer.address, listener = peer.listener, %error, "connection ended");
    }
}
