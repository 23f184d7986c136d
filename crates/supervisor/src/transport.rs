//! One HTTP exchange over supervisord's socket.

use std::{io, path::Path, pin::pin};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::Error;

/// The largest reply, in bytes. A program takes about 1.5 KiB of `getAllProcessInfo`.
pub(crate) const MAX_REPLY: usize = 4 * 1024 * 1024;

/// Posts a call and returns the reply's body.
///
/// # Cancel safety
/// Dropping the future closes the connection. supervisord may have carried the call out.
pub(crate) async fn post(socket: &Path, call: String) -> Result<Bytes, Error> {
    let unreachable = |source: io::Error| Error::Unreachable {
        socket: socket.to_owned(),
        source,
    };
    let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(Error::Broken)?;
    let mut exchange = pin!(exchange(sender, call));
    let mut connection = pin!(connection);
    tokio::select! {
        // The reply counts even when the connection ends with it.
        biased;
        reply = &mut exchange => reply,
        ended = &mut connection => {
            ended.map_err(Error::Broken)?;
            exchange.await
        }
    }
}

async fn exchange(mut sender: SendRequest<Full<Bytes>>, call: String) -> Result<Bytes, Error> {
    let request = Request::post("/RPC2")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "text/xml")
        .header(header::CONNECTION, "close")
        .body(Full::from(call))
        .map_err(|error| Error::malformed(error.to_string()))?;
    let reply = sender.send_request(request).await.map_err(Error::Broken)?;
    if reply.status() != StatusCode::OK {
        return Err(Error::Status(reply.status().as_u16()));
    }
    let body = Limited::new(reply.into_body(), MAX_REPLY).collect().await;
    let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => Error::Broken(*error),
        Err(error) if error.is::<LengthLimitError>() => Error::TooLarge(MAX_REPLY),
        Err(error) => Error::malformed(error.to_string()),
    })?;
    Ok(body.to_bytes())
}
