//! Logs, followed line by line.

use std::{fmt, time::Duration, time::SystemTime};

use axum::{extract::State, response::Response};
use browserd_api::{
    Error,
    logs::{LogEvent, LogName, LogParameters, LogSource},
    process::{ErrorName, GapName},
};
use browserd_blocking::Pool;
use browserd_files::{FsPath, OsKind};
use browserd_follow::{Config, Follower, Line, Start};
use browserd_supervisor as supervisor;
use futures_util::FutureExt as _;

use super::files::path_in;
use crate::{
    app::App,
    error::{ApiError, Result},
    extract::Query,
    sse::{self, Event, Resume},
    time::rfc3339,
};

/// How often supervisord is asked for a program that it does not know yet: it tells nobody
/// when its configuration changes.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Lines that are there already are sent together, up to about so many bytes.
const BATCH_BYTES: usize = 64 * 1024;

/// Stream the lines of a log
///
/// A log that is rotated or truncated is followed without losing a line. With `follow`, a file
/// or program that does not exist yet is waited for. The id of an event leads back to right
/// behind it.
#[utoipa::path(
    get,
    path = "/logs/stream",
    tag = "logs",
    params(
        LogParameters,
        ("last_event_id" = Option<String>, Query, description = "As the header"),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on right behind this event")
    ),
    responses(
        (status = 200, description = "Each event's data is one of these", body = LogEvent,
            content_type = "text/event-stream"),
        (status = 204, description = "Nothing comes behind the event, and `follow` is false"),
        (status = 400, description = "A parameter is missing, or the path is no file",
            body = Error),
        (status = 404, description = "No such file or program, and `follow` is false",
            body = Error),
        (status = "default", description = "It cannot be read or followed", body = Error)
    )
)]
pub(crate) async fn stream_logs(
    State(app): State<App>,
    Query(parameters): Query<LogParameters>,
    Resume(after): Resume,
) -> Result<Response> {
    let last = after.as_deref().map(Place::parse).transpose()?;
    let wanted = Wanted {
        start: start(&parameters, last),
        follow: parameters.follow,
    };
    let input = match parameters.source {
        LogSource::Path => {
            let path = parameters.path.as_deref();
            let path = path.ok_or_else(|| missing("path", "path"))?;
            Input::Follower(wanted.open(&app, &path_in("path", path)?).await?)
        }
        LogSource::Supervisor => {
            let name = parameters.supervisor_process.as_deref();
            let name = name.filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| missing("supervisor_process", "supervisor"))?;
            wanted.find(&app, name).await?
        }
    };
    let mut source = Source {
        input,
        follow: parameters.follow,
        last: last.unwrap_or_default(),
        text: Vec::new(),
        broken: None,
        over: false,
    };
    source.begin().await?;
    if source.over && last.is_some() {
        return Ok(sse::nothing_more());
    }
    Ok(sse::response(source, app.streams.clone()))
}

fn missing(parameter: &str, source: &str) -> ApiError {
    ApiError::bad_request(format!(
        "{parameter}: the parameter is missing, which the source {source} needs"
    ))
}

fn start(parameters: &LogParameters, last: Option<Place>) -> Start {
    match (last, parameters.tail) {
        (Some(place), _) if place.inode != 0 => Start::Resume {
            inode: place.inode,
            born_ns: place.born_ns,
            offset: place.offset,
        },
        (_, Some(lines)) => Start::LastLines(lines),
        (_, None) if parameters.follow => Start::End,
        (_, None) => Start::Beginning,
    }
}

/// Where a stream has come to: the id of its events, `<inode>.<offset>`, and behind another dot
/// the time of the file's birth where that is known. Nowhere yet is all zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    inode: u64,
    offset: u64,
    born_ns: Option<u64>,
}

impl Place {
    fn parse(id: &str) -> Result<Self> {
        let numbers: std::result::Result<Vec<u64>, _> = id.split('.').map(str::parse).collect();
        let place = match numbers.as_deref() {
            Ok(&[inode, offset]) => Some((inode, offset, None)),
            Ok(&[inode, offset, born_ns]) => Some((inode, offset, Some(born_ns))),
            Ok(_) | Err(_) => None,
        };
        let place = place.map(|(inode, offset, born_ns)| Self {
            inode,
            offset,
            born_ns,
        });
        place.ok_or_else(|| {
            ApiError::bad_request(format!("Last-Event-ID: {id:?} is no event of a log"))
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.inode, self.offset)?;
        self.born_ns
            .map_or(Ok(()), |born_ns| write!(f, ".{born_ns}"))
    }
}

/// How a log is to be read.
#[derive(Debug, Clone)]
struct Wanted {
    start: Start,
    follow: bool,
}

impl Wanted {
    /// Opens a log. One that cannot be read is refused now; one that is missing is waited for.
    async fn open(&self, app: &App, path: &FsPath) -> Result<Follower> {
        match app.domains.files.read(path).await {
            Ok(_) => {}
            Err(error) if self.follow && error.os_kind() == Some(OsKind::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.follower(path, &app.domains.pools.logs)?)
    }

    fn follower(
        &self,
        path: &FsPath,
        pool: &Pool,
    ) -> std::result::Result<Follower, browserd_follow::Error> {
        let config = Config::new(path.as_path())
            .start(self.start.clone())
            .pool(pool);
        Follower::new(if self.follow { config } else { config.once() })
    }

    /// Opens the log of a program.
    async fn find(&self, app: &App, name: &str) -> Result<Input> {
        let asked = app.of_supervisor(|supervisor| async move { supervisor.process(name).await });
        match asked.await {
            Ok(process) => {
                let path = log_of(&process).ok_or_else(|| {
                    let message = format!("the program {name:?} writes to no log file");
                    ApiError::not_found(message)
                })?;
                Ok(Input::Follower(self.open(app, &path).await?))
            }
            Err(supervisor::Error::NotFound(_)) if self.follow => Ok(Input::Unknown {
                pool: app.domains.pools.logs.clone(),
                supervisor: app.domains.supervisor.clone(),
                name: name.to_owned(),
                wanted: self.clone(),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

fn log_of(process: &supervisor::Process) -> Option<FsPath> {
    FsPath::parse(process.stdout_log.as_ref()?).ok()
}

/// Where lines come from.
enum Input {
    /// supervisord does not know the program yet.
    Unknown {
        supervisor: supervisor::Client,
        pool: Pool,
        name: String,
        wanted: Wanted,
    },
    Follower(Follower),
}

/// A log's lines as they are sent.
struct Source {
    input: Input,
    follow: bool,
    last: Place,
    /// Events that were read and are not sent yet.
    text: Vec<u8>,
    /// Why no more comes, to be said once.
    broken: Option<String>,
    over: bool,
}

impl sse::Source for Source {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if !self.text.is_empty() {
                return Some(Event::written(std::mem::take(&mut self.text).into()));
            }
            if self.over {
                return None;
            }
            if let Some(reason) = self.broken.take() {
                self.over = true;
                return Some(self.error(&reason));
            }
            match &mut self.input {
                Input::Unknown { .. } => self.ask().await,
                Input::Follower(follower) => match follower.next().await {
                    Ok(Some(event)) => self.take(event),
                    Ok(None) => return None,
                    Err(error) => self.broken = Some(reason(&error)),
                },
            }
            self.take_ready();
        }
    }

    fn farewell(&mut self) -> Option<Event> {
        Some(self.error("the daemon shuts down"))
    }
}

impl Source {
    /// Finds where to begin, before the answer: what is written once a client has it must be
    /// told. A follower always has a first event at hand, and one that does not wait for more
    /// has a line or its end.
    async fn begin(&mut self) -> Result<()> {
        let Input::Follower(follower) = &mut self.input else {
            return Ok(());
        };
        let mut event = follower.next().await?;
        while !self.follow && matches!(event, Some(browserd_follow::Event::State(_))) {
            event = follower.next().await?;
        }
        match event {
            Some(event) => self.take(event),
            None => self.over = true,
        }
        Ok(())
    }

    /// Asks for the program once more. What supervisord does not answer is asked again.
    async fn ask(&mut self) {
        tokio::time::sleep(ASK_EVERY).await;
        let Input::Unknown {
            supervisor,
            pool,
            name,
            wanted,
        } = &self.input
        else {
            return;
        };
        let Ok(process) = supervisor.process(name).await else {
            return;
        };
        let Some(path) = log_of(&process) else {
            self.broken = Some(format!("the program {name:?} writes to no log file"));
            return;
        };
        match wanted.follower(&path, pool) {
            Ok(follower) => self.input = Input::Follower(follower),
            Err(error) => self.broken = Some(reason(&error)),
        }
    }

    /// Takes what is there without waiting.
    fn take_ready(&mut self) {
        while self.text.len() < BATCH_BYTES && self.broken.is_none() {
            let Input::Follower(follower) = &mut self.input else {
                return;
            };
            match follower.next().now_or_never() {
                Some(Ok(Some(event))) => self.take(event),
                Some(Err(error)) => self.broken = Some(reason(&error)),
                Some(Ok(None)) | None => return,
            }
        }
    }

    fn take(&mut self, event: browserd_follow::Event) {
        let event = match event {
            browserd_follow::Event::Line(line) => self.line(&line),
            browserd_follow::Event::Gap { lost_bytes } => LogEvent::Gap {
                event: GapName::Gap,
                lost_bytes,
            },
            // It is waited for, whatever its state.
            browserd_follow::Event::State(_) => return,
        };
        Event::write_to(&mut self.text, self.last, &event);
    }

    fn line(&mut self, line: &Line) -> LogEvent {
        self.last = Place {
            inode: line.inode,
            offset: line.offset,
            born_ns: line.born_ns,
        };
        LogEvent::Line {
            event: LogName::Log,
            timestamp: rfc3339(SystemTime::now()),
            message: String::from_utf8_lossy(&line.bytes).into_owned(),
            continued: line.continued,
        }
    }

    fn error(&self, message: &str) -> Event {
        let error = LogEvent::Error {
            event: ErrorName::Error,
            timestamp: rfc3339(SystemTime::now()),
            message: message.to_owned(),
        };
        Event::new(self.last, &error)
    }
}

fn reason(error: &browserd_follow::Error) -> String {
    format!("cannot {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for id in ["7.12", "7.12.1790000000000000001", "0.0"] {
            assert_eq!(Place::parse(id).unwrap().to_string(), id);
        }
        for id in ["", "7", "7.", "7.12.", "7.12.3.4", "a.b", "7.12.x", "-1.0"] {
            assert!(Place::parse(id).is_err(), "{id}");
        }
    }
}
