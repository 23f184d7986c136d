//! A request body of any length, on its way in.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, BodyDataStream, HttpBody as _};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, header};
use tokio::time::timeout;

use crate::error::ApiError;

/// How long what is still coming is taken off the wire after a refusal. A client that is still
/// sending would otherwise meet a reset, and often not see the answer.
const LINGER: Duration = Duration::from_secs(5);

/// A body as a stream of chunks.
#[derive(Debug)]
pub(super) struct Upload {
    stream: BodyDataStream,
    expected_bytes: Option<u64>,
    /// The client waits for a sign before it sends.
    waits: bool,
}

impl Upload {
    pub(super) fn new(body: Body, headers: &HeaderMap) -> Self {
        Self {
            expected_bytes: body.size_hint().exact(),
            waits: headers.contains_key(header::EXPECT),
            stream: body.into_data_stream(),
        }
    }

    /// How many bytes will come, where that is known.
    pub(super) fn expected_bytes(&self) -> Option<u64> {
        self.expected_bytes
    }

    /// Throws the rest away, before a refusal is answered.
    pub(super) async fn linger(&mut self) {
        if self.waits {
            return;
        }
        let rest = async { while let Some(Ok(_)) = self.stream.next().await {} };
        // Whoever sends for longer meets the reset.
        let _ = timeout(LINGER, rest).await;
    }
}

impl Stream for Upload {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Its first chunk asks the client to send.
        self.waits = false;
        self.stream.poll_next_unpin(cx)
    }
}

/// The client went away, or sent less than it had announced.
pub(super) fn broken_off(error: axum::Error) -> ApiError {
    ApiError::bad_request("the body ended before all of it was sent").cause(error)
}
