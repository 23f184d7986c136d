//! The daemon's log, as it is written.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// A log file with one JSON event a line.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event(pub Value);

impl Journal {
    /// The log at this path, which need not exist yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The whole log as text; empty where there is none yet.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// How long it is now, for [`Journal::since`].
    #[must_use]
    pub fn mark(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// The events behind a mark. Lines that are no JSON are not events.
    #[must_use]
    pub fn since(&self, mark: u64) -> Vec<Event> {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let from = usize::try_from(mark).unwrap_or(usize::MAX).min(bytes.len());
        let lines = bytes[from..].split(|byte| *byte == b'\n');
        let events = lines.filter_map(|line| serde_json::from_slice(line).ok().map(Event));
        // The log of a machine has the lines of all of its services, with their names.
        events
            .filter(|event| ["", "browserd"].contains(&event.text("service")))
            .collect()
    }

    /// All events.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.since(0)
    }

    /// The access-log events behind a mark.
    #[must_use]
    pub fn requests(&self, mark: u64) -> Vec<Event> {
        let mut events = self.since(mark);
        events.retain(Event::is_request);
        events
    }

    /// The events behind a mark that tell the end of a DevTools session.
    #[must_use]
    pub fn sessions(&self, mark: u64) -> Vec<Event> {
        let mut events = self.since(mark);
        events.retain(|event| event.text("message") == "devtools session ended");
        events
    }

    /// The only request event with this id.
    pub fn request(&self, id: &str) -> anyhow::Result<Event> {
        let mut found = self.requests(0);
        found.retain(|event| event.request_id() == id);
        let event = found
            .pop()
            .with_context(|| format!("no request {id} in the log"))?;
        anyhow::ensure!(
            found.is_empty(),
            "{} events of request {id}",
            found.len() + 1
        );
        Ok(event)
    }
}

impl Event {
    /// A field's text; empty where it is not there or no text.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// A field's number.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.0[field].as_u64()
    }

    /// Whether it is of the access log.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.0.get("http.status").is_some()
    }

    /// The request id, of the event itself or of the request that it happened in.
    #[must_use]
    pub fn request_id(&self) -> &str {
        let own = self.text("request.id");
        if own.is_empty() {
            self.0["span"]["request.id"].as_str().unwrap_or_default()
        } else {
            own
        }
    }

    /// The status of a request.
    #[must_use]
    pub fn status(&self) -> u64 {
        self.number("http.status").unwrap_or_default()
    }
}
