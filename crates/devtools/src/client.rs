//! A small HTTP client for Chromium's DevTools port: the discovery documents and the upgrade to
//! a WebSocket. One connection per request, on the same machine.
//!
//! `Host` is always `127.0.0.1:<port>`: Chromium refuses names other than `localhost` and IP
//! addresses (`RequestIsSafeToServe` in `content/browser/devtools/devtools_http_handler.cc`).
//! `Origin` is never sent, for which it would want `--remote-allow-origins`.

mod error;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{
    CONNECTION, CONTENT_TYPE, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use self::error::{Error, OpenError};
use crate::{Endpoint, Peer};

/// The largest document that is taken from Chromium, in bytes. `/json/protocol` has 2 MiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// How long an answer may take as a whole.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Chromium's answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its content type, if it named one.
    pub content_type: Option<HeaderValue>,
    /// Its body.
    pub body: Bytes,
}

/// An upgraded connection.
#[derive(Debug)]
pub struct Opened {
    /// The connection, with `TCP_NODELAY` set. Frames follow from here on.
    pub stream: TcpStream,
    /// What Chromium sent behind its answer; it comes before what is in the stream.
    pub read_ahead: Bytes,
    /// Chromium's `Sec-WebSocket-Accept`, which answers the key that was given.
    pub accept: HeaderValue,
}

/// Ask for a document.
///
/// # Errors
///
/// Each [`Error`]; a status of 400 and above is an answer and no error.
///
/// # Cancel safety
///
/// Dropping the future closes the connection. Chromium may have acted on the request.
pub async fn fetch(
    endpoint: &Endpoint,
    method: Method,
    path_and_query: &str,
) -> Result<Reply, Error> {
    fetch_within(endpoint.peer(), method, path_and_query, TIMEOUT).await
}

/// As [`fetch`], from an address that is not proven, within `limit`.
pub(crate) async fn fetch_within(
    peer: &Peer,
    method: Method,
    path_and_query: &str,
    limit: Duration,
) -> Result<Reply, Error> {
    let request = request(peer, method, path_and_query)?;
    let exchange = async {
        let stream = connect(peer).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| exchange_error(peer, source))?;
        drive(connection, async {
            let response = sender.send_request(request).await;
            reply(
                peer,
                response.map_err(|source| exchange_error(peer, source))?,
            )
            .await
        })
        .await
    };
    timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| Err(timeout_error(peer, limit)))
}

/// Open a WebSocket at `path` with the client's own `Sec-WebSocket-Key`, so that Chromium's
/// answer is the one for the client. No extension is asked for, so frames come uncompressed.
///
/// # Errors
///
/// [`OpenError::Rejected`] with Chromium's answer if it is not 101, e.g. for an unknown target.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub async fn open_websocket(
    endpoint: &Endpoint,
    path: &str,
    key: &str,
) -> Result<Opened, OpenError> {
    open_websocket_at(endpoint.peer(), path, key).await
}

/// As [`open_websocket`], at an address that is not proven.
pub(crate) async fn open_websocket_at(
    peer: &Peer,
    path: &str,
    key: &str,
) -> Result<Opened, OpenError> {
    let mut request = request(peer, Method::GET, path)?;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = HeaderValue::from_str(key).map_err(|_| Error::Key)?;
    headers.insert(SEC_WEBSOCKET_KEY, key);
    timeout(TIMEOUT, upgrade(peer, request))
        .await
        .unwrap_or_else(|_| Err(timeout_error(peer, TIMEOUT).into()))
}

async fn upgrade(peer: &Peer, request: Request<Empty<Bytes>>) -> Result<Opened, OpenError> {
    let stream = connect(peer).await?;
    let failed = |source| exchange_error(peer, source);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    drive(connection.with_upgrades(), async {
        let response = sender.send_request(request).await.map_err(failed)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(OpenError::Rejected(reply(peer, response).await?));
        }
        let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT).cloned();
        let accept = accept.ok_or_else(|| Error::Handshake { peer: peer.clone() })?;
        let upgraded = hyper::upgrade::on(response).await.map_err(failed)?;
        let parts = upgraded
            .downcast::<TokioIo<TcpStream>>()
            .map_err(|_| Error::Handshake { peer: peer.clone() })?;
        Ok(Opened {
            stream: parts.io.into_inner(),
            read_ahead: parts.read_buf,
            accept,
        })
    })
    .await
}

/// Connect, without Nagle's delay.
pub(crate) async fn connect(peer: &Peer) -> Result<TcpStream, Error> {
    let connected = TcpStream::connect((peer.host(), peer.port())).await;
    let stream = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    stream.map_err(|source| Error::Connect {
        peer: peer.clone(),
        source,
    })
}

fn request(peer: &Peer, method: Method, path: &str) -> Result<Request<Empty<Bytes>>, Error> {
    let uri: http::uri::PathAndQuery = path.parse().map_err(|source| Error::Path {
        path: path.to_owned(),
        source,
    })?;
    let mut request = Request::new(Empty::new());
    *request.method_mut() = method;
    *request.uri_mut() = http::Uri::from(uri);
    let host = HeaderValue::from_str(&format!("127.0.0.1:{}", peer.port()));
    request.headers_mut().insert(
        HOST,
        host.expect("proof: digits and dots are a header value"),
    );
    Ok(request)
}

async fn reply(peer: &Peer, response: Response<Incoming>) -> Result<Reply, Error> {
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).cloned();
    match Limited::new(response.into_body(), MAX_BODY_BYTES)
        .collect()
        .await
    {
        Ok(body) => Ok(Reply {
            status,
            content_type,
            body: body.to_bytes(),
        }),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge {
            peer: peer.clone(),
            limit_bytes: MAX_BODY_BYTES,
        }),
        Err(source) => Err(Error::Body {
            peer: peer.clone(),
            source,
        }),
    }
}

/// Run the connection for as long as `work` needs it.
async fn drive<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    match select(std::pin::pin!(connection), std::pin::pin!(work)).await {
        // Its end, good or bad, is told to the work as well.
        Either::Left((_, work)) => work.await,
        Either::Right((done, _)) => done,
    }
}

fn exchange_error(peer: &Peer, source: hyper::Error) -> Error {
    Error::Exchange {
        peer: peer.clone(),
        source,
    }
}

fn timeout_error(peer: &Peer, limit: Duration) -> Error {
    Error::Timeout {
        peer: peer.clone(),
        limit,
    }
}
