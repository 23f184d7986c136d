//! Whether a connection is busy with a request: from its head until the last byte of the
//! answer is handed over.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// Counts the requests of one connection: all, and those not yet answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicUsize,
    active: AtomicUsize,
}

impl InFlight {
    /// Counts one request until the guard is dropped.
    pub(crate) fn begin(&self) -> Held {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.0.active.fetch_add(1, Ordering::Relaxed);
        Held(self.clone())
    }

    /// How many requests have begun so far.
    pub(crate) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Whether no request is being answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.active.load(Ordering::Relaxed) == 0
    }
}

/// One request that is being answered.
#[derive(Debug)]
pub(crate) struct Held(InFlight);

impl Held {
    /// Holds on until the body has been sent or given up.
    pub(crate) fn until_sent(self, body: Body) -> Body {
        Body::new(HeldBody { body, _held: self })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

struct HeldBody {
    body: Body,
    _held: Held,
}

impl hyper::body::Body for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
