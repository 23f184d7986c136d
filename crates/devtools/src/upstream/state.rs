//! What the watcher publishes and everyone else reads.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::Status;
use super::source::Source;
use crate::Endpoint;

/// The state at one moment.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) current: Option<Arc<Endpoint>>,
    /// What is waited for while there is no endpoint.
    pub(super) waiting_for: String,
    pub(super) generation: u64,
    /// The daemon stops: nothing more is coming.
    pub(super) stopped: bool,
}

/// Shared by the watcher and the handles.
#[derive(Debug)]
pub(super) struct Shared {
    view: watch::Sender<View>,
    /// Wakes the watcher after [`Shared::suspect`].
    suspected: Notify,
}

impl Shared {
    pub(super) fn new(source: &Source) -> Self {
        let waiting_for = match source {
            Source::Log(path) => format!("reading chromium's log {}", path.display()),
            Source::Fixed(fixed) => format!("waiting for {fixed}"),
        };
        let view = View {
            current: None,
            waiting_for,
            generation: 0,
            stopped: false,
        };
        Self {
            view: watch::Sender::new(view),
            suspected: Notify::new(),
        }
    }

    pub(super) fn current(&self) -> Option<Arc<Endpoint>> {
        self.view.borrow().current.clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    pub(super) fn generation(&self) -> u64 {
        self.view.borrow().generation
    }

    pub(super) fn status(&self) -> Status {
        let view = self.view.borrow();
        match &view.current {
            _ if view.stopped => Status {
                up: false,
                detail: "the daemon stops".to_owned(),
            },
            Some(endpoint) => Status {
                up: true,
                detail: format!("browser at {endpoint}"),
            },
            None => Status {
                up: false,
                detail: view.waiting_for.clone(),
            },
        }
    }

    /// Whether `endpoint` is the one that is published.
    pub(super) fn is_current(&self, endpoint: &Endpoint) -> bool {
        is_same(&self.view.borrow(), endpoint)
    }

    pub(super) fn suspect(&self, endpoint: &Endpoint) {
        let withdrawn = self.view.send_if_modified(|view| {
            let same = is_same(view, endpoint);
            if same {
                view.current = None;
                view.waiting_for = format!("proving {} again", endpoint.peer());
            }
            same
        });
        if withdrawn {
            self.suspected.notify_one();
        }
    }

    /// Wait for [`Shared::suspect`]. Cancel safe: one that nobody waits for is kept.
    pub(super) async fn suspected(&self) {
        self.suspected.notified().await;
    }

    pub(super) fn publish(&self, endpoint: Arc<Endpoint>) {
        self.view.send_modify(|view| {
            view.generation = endpoint.generation();
            view.current = Some(endpoint);
        });
    }

    pub(super) fn withdraw(&self) {
        self.view
            .send_if_modified(|view| view.current.take().is_some());
    }

    pub(super) fn wait_for(&self, waiting_for: String) {
        // Nobody waits for a change of the words.
        self.view.send_if_modified(|view| {
            view.waiting_for = waiting_for;
            false
        });
    }

    pub(super) fn stop(&self) {
        self.view.send_modify(|view| view.stopped = true);
    }
}

fn is_same(view: &View, endpoint: &Endpoint) -> bool {
    view.current
        .as_ref()
        .is_some_and(|current| current.generation() == endpoint.generation())
}
