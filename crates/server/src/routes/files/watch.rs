//! Watches and their events.

use std::time::SystemTime;

use axum::{Json as JsonBody, extract::State, response::Response};
use browserd_api::{
    Error,
    files::{self as wire, WatchRequest},
    process::{ErrorName, GapName},
};
use browserd_files::{ChangeKind, WatchEvents, WatchItem, WatchOptions};
use http::StatusCode;

use super::{path_in, shown};
use crate::{
    app::App,
    error::{ApiError, Result},
    extract::{Json, Path},
    sse::{self, Event, Resume},
    time::rfc3339,
};

/// Begin to watch a directory or file
///
/// The last 10,000 events are kept for whoever reads. A watch that nobody reads for an hour
/// ends.
#[utoipa::path(
    post,
    path = "/fs/watch",
    tag = "files",
    request_body = WatchRequest,
    responses(
        (status = 201, description = "What changes from here on is told", body = wire::Watch),
        (status = 429, description = "The limit of watches is reached", body = Error),
        (status = "default", description = "It cannot be watched", body = Error)
    )
)]
pub(crate) async fn start_watch(
    State(app): State<App>,
    Json(request): Json<WatchRequest>,
) -> Result<(StatusCode, JsonBody<wire::Watch>)> {
    let path = path_in("path", &request.path)?;
    let options = WatchOptions {
        recursive: request.recursive,
    };
    let watch_id = app.domains.files.watch(&path, options).await?;
    Ok((StatusCode::CREATED, JsonBody(wire::Watch { watch_id })))
}

/// Stream the events of a watch
///
/// Begins with the oldest event that is kept, or right behind `Last-Event-ID`. What is not kept
/// any more is told by a `gap`. An id that the watch has not come to yet counts as that of its
/// newest event.
#[utoipa::path(
    get,
    path = "/fs/watch/{watch_id}/events",
    tag = "files",
    params(
        ("watch_id" = String, Path, description = "From the start of the watch"),
        ("last_event_id" = Option<String>, Query, description = "As the header"),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on right behind this event")
    ),
    responses(
        (status = 200, description = "Each event's data is one of these",
            body = wire::WatchEvent, content_type = "text/event-stream"),
        (status = 429, description = "The limit of readers is reached", body = Error),
        (status = "default", description = "There is no such watch", body = Error)
    )
)]
pub(crate) async fn stream_watch_events(
    State(app): State<App>,
    Path(watch_id): Path<String>,
    Resume(after): Resume,
) -> Result<Response> {
    let after = after
        .map(|id| {
            id.parse::<u64>().map_err(|_| {
                ApiError::bad_request(format!("Last-Event-ID: {id:?} is no event of a watch"))
            })
        })
        .transpose()?;
    let events = app.domains.files.watch_events(&watch_id, after)?;
    let source = Source {
        events,
        last: after.unwrap_or(0),
        over: false,
    };
    Ok(sse::response(source, app.streams.clone()))
}

/// End a watch
///
/// Its readers get what is left, and then the end.
#[utoipa::path(
    delete,
    path = "/fs/watch/{watch_id}",
    tag = "files",
    params(("watch_id" = String, Path, description = "From the start of the watch")),
    responses(
        (status = 204, description = "It has ended"),
        (status = "default", description = "There is no such watch", body = Error)
    )
)]
pub(crate) async fn stop_watch(
    State(app): State<App>,
    Path(watch_id): Path<String>,
) -> Result<StatusCode> {
    app.domains.files.end_watch(&watch_id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A watch's events as they are sent.
struct Source {
    events: WatchEvents,
    /// The id of the last event.
    last: u64,
    over: bool,
}

impl sse::Source for Source {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        match self.events.next().await? {
            Ok(item) => Some(self.told(item)),
            Err(error) => {
                self.over = true;
                Some(self.broken(&error.to_string()))
            }
        }
    }

    fn farewell(&mut self) -> Option<Event> {
        Some(self.broken("the daemon shuts down"))
    }
}

impl Source {
    fn told(&mut self, item: WatchItem) -> Event {
        match item {
            WatchItem::Event { sequence, event } => {
                self.last = sequence;
                let kind = match event.kind {
                    ChangeKind::Create => wire::WatchKind::Create,
                    ChangeKind::Write => wire::WatchKind::Write,
                    ChangeKind::Delete => wire::WatchKind::Delete,
                    ChangeKind::Rename => wire::WatchKind::Rename,
                };
                let change = wire::WatchEvent::Change {
                    kind,
                    path: shown(event.path),
                    name: shown(event.name),
                    is_dir: event.is_dir,
                    size_bytes: event.size_bytes,
                    mod_time: event.mod_time.map(rfc3339),
                    dest_path: event.dest_path.map(shown),
                };
                Event::new(sequence, &change)
            }
            WatchItem::Gap {
                sequence,
                lost_events,
            } => {
                self.last = sequence;
                let gap = wire::WatchEvent::Gap {
                    event: GapName::Gap,
                    lost_events,
                };
                Event::new(sequence, &gap)
            }
        }
    }

    fn broken(&self, message: &str) -> Event {
        let error = wire::WatchEvent::Error {
            event: ErrorName::Error,
            timestamp: rfc3339(SystemTime::now()),
            message: message.to_owned(),
        };
        Event::new(self.last, &error)
    }
}
