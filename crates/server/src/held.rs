//! JSON whose memory is counted: what counts it is let go of when the last byte has gone.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Serialize;

/// An answer in JSON, and what is dropped after it was sent.
#[derive(Debug)]
pub(crate) struct Held<A, H = Vec<browserd_budget::Share>> {
    pub(crate) answer: A,
    pub(crate) held: H,
}

/// The bytes of an answer, which the connection drops once they are written.
struct Sent<H> {
    json: Vec<u8>,
    _held: H,
}

impl<H> AsRef<[u8]> for Sent<H> {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

impl<A: Serialize, H: Send + 'static> IntoResponse for Held<A, H> {
    fn into_response(self) -> Response {
        let json = serde_json::to_vec(&self.answer).expect("wire types have a JSON form");
        // Before the answer waits for a slow client.
        drop(self.answer);
        let bytes = Bytes::from_owner(Sent {
            json,
            _held: self.held,
        });
        let mut response = Response::new(Body::from(bytes));
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

#[cfg(test)]
mod tests {
    use browserd_budget::Budget;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_held_is_let_go_of_with_the_last_byte() {
        let budget = Budget::new(10);
        let mut share = budget.share();
        assert!(share.grow(7));
        let held = Held {
            answer: [1, 2],
            held: vec![share],
        };
        let response = held.into_response();
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(budget.used(), 7);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((&bytes[..], budget.used()), (&b"[1,2]"[..], 7));
        drop(bytes);
        assert_eq!(budget.used(), 0);
    }
}
