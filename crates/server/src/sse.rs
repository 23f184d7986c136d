//! Server-sent events, in the one shape that all streams share.
//!
//! Each event is `data: <one JSON object>` with an `id:`, which a client sends back to go on
//! right behind it. A stream that says nothing for a while is kept open by a comment line.

use std::{convert::Infallible, fmt::Display, future::Future, io::Write as _, time::Duration};

use axum::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{error::ApiError, extract::Query};

/// How long a stream may say nothing before it sends a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One line without a blank one behind it: a blank line is an event without data, on which
/// the Python SDK before 0.60 fails.
const COMMENT: Bytes = Bytes::from_static(b":\n");

/// An event as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Event(Bytes);

impl Event {
    /// An event with its id. `data` must have a JSON form, as all wire types do.
    pub(crate) fn new(id: impl Display, data: &impl Serialize) -> Self {
        let mut text = Vec::with_capacity(256);
        Self::write_to(&mut text, id, data);
        Self(text.into())
    }

    /// Writes an event behind others, to be sent with them by [`Self::written`].
    pub(crate) fn write_to(text: &mut Vec<u8>, id: impl Display, data: &impl Serialize) {
        text.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *text, data).expect("wire types have a JSON form");
        write!(text, "\nid: {id}\n\n").expect("memory takes all that is written to it");
    }

    /// Events that are written out already: data, id and the blank line of each.
    pub(crate) fn written(text: Bytes) -> Self {
        Self(text)
    }
}

/// What a stream sends.
pub(crate) trait Source: Send + 'static {
    /// The next event; `None` ends the stream.
    ///
    /// # Cancel safety
    ///
    /// Must be cancel safe: the future is dropped to send a heartbeat, and made anew.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;

    /// The last event of a stream that the daemon's shutdown cuts off.
    fn farewell(&mut self) -> Option<Event>;
}

/// The response that sends a source's events until it ends, the client goes, or `stop` is
/// cancelled. The source is asked only as fast as the client reads.
pub(crate) fn response(source: impl Source, stop: CancellationToken) -> Response {
    let body = stream::unfold(Some((source, stop)), |state| async {
        let (mut source, stop) = state?;
        let beat = Instant::now() + HEARTBEAT;
        let (text, state) = tokio::select! {
            // The stop comes first, or a source that always has more would never see it.
            biased;
            () = stop.cancelled() => (source.farewell()?.0, None),
            next = timeout_at(beat, source.next()) => match next {
                Ok(event) => (event?.0, Some((source, stop))),
                Err(_) => (COMMENT, Some((source, stop))),
            },
        };
        Some((Ok::<_, Infallible>(text), state))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
        (
            HeaderName::from_static("x-sse-content-type"),
            "application/json",
        ),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, Body::from_stream(body)).into_response()
}

/// The answer to a client that has had all of a stream that is over: an `EventSource`, which
/// connects again after each end, stops at this status and at no 200 (HTML standard, "server-sent
/// events", the event stream's reconnection).
pub(crate) fn nothing_more() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Where a stream shall go on: the header `Last-Event-ID` or the parameter `last_event_id`.
/// An empty one counts as none, as the standard has it.
#[derive(Debug, Clone)]
pub(crate) struct Resume(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Resume {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Parameters {
            last_event_id: Option<String>,
        }
        let in_header = match parts.headers.get("last-event-id") {
            Some(id) => {
                let id = id
                    .to_str()
                    .map_err(|_| ApiError::bad_request("Last-Event-ID: not text"))?;
                Some(id.to_owned())
            }
            None => None,
        };
        let Query(parameters) = Query::<Parameters>::from_request_parts(parts, state).await?;
        let id = in_header.or(parameters.last_event_id);
        Ok(Self(id.filter(|id| !id.is_empty())))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, future::pending};

    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;

    /// Sends what it has, then nothing more, or the end.
    struct Scripted {
        events: VecDeque<Event>,
        ends: bool,
    }

    impl Scripted {
        fn new(count: usize, ends: bool) -> Self {
            let events = (1..=count)
                .map(|id| Event::new(id, &json!({"n": id})))
                .collect();
            Self { events, ends }
        }
    }

    impl Source for Scripted {
        async fn next(&mut self) -> Option<Event> {
            match self.events.pop_front() {
                None if !self.ends => pending().await,
                event => event,
            }
        }

        fn farewell(&mut self) -> Option<Event> {
            Some(Event::new("last", &json!({"event": "error"})))
        }
    }

    async fn next(body: &mut Body) -> Option<String> {
        let frame = body.frame().await?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn events_have_data_and_id_and_the_stream_ends() {
        let response = response(Scripted::new(2, true), CancellationToken::new());
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["x-sse-content-type"], "application/json");
        assert_eq!(headers["cache-control"], "no-cache, no-transform");
        assert_eq!(headers["x-accel-buffering"], "no");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "data: {\"n\":1}\nid: 1\n\ndata: {\"n\":2}\nid: 2\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_sends_a_comment_without_a_blank_line() {
        let started = Instant::now();
        let response = response(Scripted::new(1, false), CancellationToken::new());
        let mut body = response.into_body();
        assert!(next(&mut body).await.unwrap().starts_with("data: "));
        for beats in 1..=3 {
            assert_eq!(next(&mut body).await.unwrap(), ":\n");
            assert_eq!(started.elapsed().as_secs(), beats * 15);
        }
    }

    #[tokio::test]
    async fn a_stop_says_so_once_and_ends_the_stream() {
        let stop = CancellationToken::new();
        let mut body = response(Scripted::new(5, false), stop.clone()).into_body();
        assert!(next(&mut body).await.unwrap().contains("id: 1"));
        stop.cancel();
        assert!(next(&mut body).await.unwrap().contains("id: last"));
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn a_stream_goes_on_behind_the_header_or_the_parameter() {
        for (header, uri, wanted) in [
            (None, "/", None),
            (Some("7.0"), "/", Some("7.0")),
            (None, "/?last_event_id=3.1", Some("3.1")),
            (Some("7.0"), "/?last_event_id=3.1", Some("7.0")),
            (Some(""), "/", None),
        ] {
            let mut request = http::Request::get(uri);
            if let Some(id) = header {
                request = request.header("Last-Event-ID", id);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let Resume(id) = Resume::from_request_parts(&mut parts, &()).await.unwrap();
            assert_eq!(id.as_deref(), wanted);
        }
    }
}
