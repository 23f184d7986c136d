//! Running commands, and reaching those that were spawned.

pub(crate) mod attach;
mod output;

use std::{path::PathBuf, time::Duration};

use axum::{Json, extract::State, response::Response};
use browserd_api::{
    Base64, Error,
    process::{
        Done, ExecRequest, ExecResult, ExecTimeout, KillRequest, OutputEvent, ProcessInfo,
        ProcessPath, ProcessState, ProcessStatus, ResizeRequest, SpawnRequest, Spawned,
        StdinRequest, StdinResult,
    },
};
use browserd_process::{End, Identity, Outcome, Process, Program, Request, Signal, Size};

use crate::{
    app::App,
    error::{ApiError, Result},
    extract::{self, Path},
    held::Held,
    sse::{self, Resume},
    time::rfc3339,
};

/// Run a command to its end
///
/// Answers when the command has exited and its output has been read. What others hold its
/// output open for, a server left in the background for example, is waited for 200 ms at most
/// and then left alone. A client that goes away cancels the command: its process group is
/// terminated.
///
/// The SDKs' clients give up after 60 s and call again, which runs the command twice. Give
/// longer ones a `timeout`, and `max_retries=0`:
/// `client.with_options(timeout=600, max_retries=0).browsers.process.exec(...)`. Or spawn them.
#[utoipa::path(
    post,
    path = "/process/exec",
    tag = "process",
    request_body = ExecRequest,
    responses(
        (status = 200, description = "It ended, with whatever exit code", body = ExecResult),
        (status = 400, description = "A field cannot be used, or the command cannot be run", body = Error),
        (status = 403, description = "The system does not let the daemon become that user", body = Error),
        (status = 408, description = "Its time was over; `result` has what it said", body = ExecTimeout),
        (status = 429, description = "Too many processes run already", body = Error),
        (status = 503, description = "The machine has no more descriptors, processes or memory", body = Error),
        (status = "default", description = "Any other failure", body = Error)
    )
)]
pub(crate) async fn exec_process(
    State(app): State<App>,
    extract::Json(request): extract::Json<ExecRequest>,
) -> Result<Held<ExecResult>> {
    let mut outcome = app.domains.process.exec(command(request)?).await?;
    let (timed_out, took) = (outcome.timed_out, outcome.took);
    let held = std::mem::take(&mut outcome.held);
    let result = exec_result(outcome);
    if timed_out {
        let message = format!("timeout_sec: the command was terminated after {took:.1?}");
        return Err(ApiError::timeout(message).result(&result).holding(held));
    }
    Ok(Held {
        answer: result,
        held,
    })
}

/// Start a process that runs on by itself
///
/// Its output is kept from the first byte, head and tail of it in bounds. Its stdin stays
/// open until it is closed by `/stdin`.
#[utoipa::path(
    post,
    path = "/process/spawn",
    tag = "process",
    request_body = SpawnRequest,
    responses(
        (status = 200, description = "It was started", body = Spawned),
        (status = 400, description = "A field cannot be used, or the command cannot be run", body = Error),
        (status = 403, description = "The system does not let the daemon become that user", body = Error),
        (status = 429, description = "Too many processes run already", body = Error),
        (status = 503, description = "The machine has no more descriptors, processes or memory", body = Error),
        (status = "default", description = "Any other failure", body = Error)
    )
)]
pub(crate) async fn spawn_process(
    State(app): State<App>,
    extract::Json(request): extract::Json<SpawnRequest>,
) -> Result<Json<Spawned>> {
    let (request, terminal) = spawn(request)?;
    let process = app.domains.process.spawn(request, terminal).await?;
    Ok(Json(Spawned {
        process_id: process.id(),
        pid: process.pid(),
        started_at: rfc3339(process.started_at()),
    }))
}

/// List the spawned processes
///
/// Those that run, and those that have exited lately: for 10 minutes, or until 1,000 others
/// have exited since.
#[utoipa::path(
    get,
    path = "/process",
    tag = "process",
    responses(
        (status = 200, description = "The oldest first", body = Vec<ProcessInfo>),
        (status = "default", description = "The caller may not call", body = Error)
    )
)]
pub(crate) async fn list_processes(State(app): State<App>) -> Json<Vec<ProcessInfo>> {
    Json(app.domains.process.list().iter().map(info).collect())
}

/// Tell what a process does and uses
#[utoipa::path(
    get,
    path = "/process/{process_id}/status",
    tag = "process",
    params(ProcessPath),
    responses(
        (status = 200, description = "Its state and use", body = ProcessStatus),
        (status = 404, description = "There is no such process", body = Error),
        (status = "default", description = "Any other failure", body = Error)
    )
)]
pub(crate) async fn get_process_status(
    State(app): State<App>,
    Path(ProcessPath { process_id }): Path<ProcessPath>,
) -> Result<Json<ProcessStatus>> {
    let status = app.domains.process.get(process_id)?.status().await?;
    Ok(Json(ProcessStatus {
        state: state(status.end),
        exit_code: status.end.map(|end| end.exit.code()),
        signal: status.end.and_then(signal_name),
        cpu_pct: status.usage.cpu_pct,
        mem_bytes: status.usage.mem_bytes,
        started_at: rfc3339(status.started_at),
        exited_at: status.end.map(|end| rfc3339(end.exited_at)),
    }))
}

/// Stream the output of a process
///
/// All of it from its first byte, or from behind `Last-Event-ID`, which is
/// `<stdout bytes>.<stderr bytes>`. Output that is not kept any more is told as a `gap`. The
/// last event is `exit`, and behind its id there is nothing: 204, at which an `EventSource` stops
/// to connect again. Any number of readers gets all of it; one that reads slowly holds up
/// nobody else.
#[utoipa::path(
    get,
    path = "/process/{process_id}/stdout/stream",
    tag = "process",
    params(
        ProcessPath,
        ("Last-Event-ID" = Option<String>, Header, description = "Go on behind this event"),
        ("last_event_id" = Option<String>, Query, description = "The same, where no header can be set")
    ),
    responses(
        (status = 200, description = "Server-sent events, each with one `OutputEvent`",
         content_type = "text/event-stream", body = OutputEvent),
        (status = 204, description = "The event was the exit: nothing more comes"),
        (status = 400, description = "The id of the event is none of this process", body = Error),
        (status = 404, description = "There is no such process", body = Error),
        (status = 429, description = "The process has too many streams already", body = Error),
        (status = "default", description = "Any other failure", body = Error)
    )
)]
pub(crate) async fn stream_process_output(
    State(app): State<App>,
    Path(ProcessPath { process_id }): Path<ProcessPath>,
    Resume(last_event_id): Resume,
) -> Result<Response> {
    let process = app.domains.process.get(process_id)?;
    let from: output::Place = match last_event_id {
        Some(id) => id
            .parse()
            .map_err(|error| ApiError::bad_request(format!("last_event_id: {error}")))?,
        None => output::Place::default(),
    };
    let reader = process.output(from.offsets)?;
    if from.is_exit && process.end().is_some() {
        return Ok(sse::nothing_more());
    }
    let output = output::Output::new(process, reader);
    Ok(sse::response(output, app.streams.clone()))
}

/// Write to the stdin of a process
#[utoipa::path(
    post,
    path = "/process/{process_id}/stdin",
    tag = "process",
    params(ProcessPath),
    request_body = StdinRequest,
    responses(
        (status = 200, description = "It was written", body = StdinResult),
        (status = 404, description = "There is no such process", body = Error),
        (status = 409, description = "It has exited, or its stdin is closed", body = Error),
        (status = 429, description = "Too many writers wait for it to read", body = Error),
        (status = "default", description = "Any other failure", body = Error)
    )
)]
pub(crate) async fn write_process_stdin(
    State(app): State<App>,
    Path(ProcessPath { process_id }): Path<ProcessPath>,
    extract::Json(StdinRequest { data_b64, close }): extract::Json<StdinRequest>,
) -> Result<Json<StdinResult>> {
    let process = app.domains.process.get(process_id)?;
    let written = process.write(&data_b64.0, close).await?;
    Ok(Json(StdinResult {
        written_bytes: written as u64,
    }))
}

/// Send a signal to the group of a process
///
/// Also when it has exited itself and has left others of its group behind.
#[utoipa::path(
    post,
    path = "/process/{process_id}/kill",
    tag = "process",
    params(ProcessPath),
    request_body = KillRequest,
    responses(
        (status = 200, description = "It was sent", body = Done),
        (status = 400, description = "There is no such signal", body = Error),
        (status = 404, description = "There is no such process", body = Error),
        (status = 409, description = "It has exited", body = Error),
        (status = "default", description = "Any other failure", body = Error)
    )
)]
pub(crate) async fn kill_process(
    State(app): State<App>,
    Path(ProcessPath { process_id }): Path<ProcessPath>,
    extract::Json(KillRequest { signal }): extract::Json<KillRequest>,
) -> Result<Json<Done>> {
    let process = app.domains.process.get(process_id)?;
    let signal = Signal::from_name(&signal).ok_or_else(|| {
        ApiError::bad_request(format!("signal: {signal:?} is no name of signal(7)"))
    })?;
    process.kill(signal)?;
    Ok(Json(Done { ok: true }))
}

/// Give the terminal of a process another size
#[utoipa::path(
    post,
    path = "/process/{process_id}/resize",
    tag = "process",
    params(ProcessPath),
    request_body = ResizeRequest,
    responses(
        (status = 200, description = "It has that size", body = Done),
        (status = 400, description = "No such size, or the process has no terminal", body = Error),
        (status = 404, description = "There is no such process", body = Error),
        (status = 409, description = "It has exited", body = Error),
        (status = "default", description = "Any other failure", body = Error)
    )
)]
pub(crate) async fn resize_process(
    State(app): State<App>,
    Path(ProcessPath { process_id }): Path<ProcessPath>,
    extract::Json(ResizeRequest { rows, cols }): extract::Json<ResizeRequest>,
) -> Result<Json<Done>> {
    let process = app.domains.process.get(process_id)?;
    process.resize(Size { rows, cols })?;
    Ok(Json(Done { ok: true }))
}

fn command(request: ExecRequest) -> Result<Request> {
    let identity = match (request.as_root, request.as_user) {
        (true, Some(_)) => {
            return Err(ApiError::bad_request(
                "as_root: it cannot be together with as_user",
            ));
        }
        (true, None) => Identity::Root,
        (false, Some(user)) => Identity::User(user),
        (false, None) => Identity::Daemon,
    };
    let program = Program {
        command: request.command,
        args: request.args,
        cwd: request.cwd.map(PathBuf::from),
        env: request.env,
        identity,
    };
    Ok(Request {
        program,
        timeout: request.timeout_sec.map(Duration::from_secs),
        stdin: request.stdin_b64.map(|bytes| bytes.0.into()),
        max_output_bytes: request.max_output_bytes,
    })
}

/// The command, and the size of its terminal.
fn spawn(request: SpawnRequest) -> Result<(Request, Option<Size>)> {
    let usual = Size::default();
    let (rows, cols) = (request.rows, request.cols);
    let size = Size::new(rows.unwrap_or(usual.rows), cols.unwrap_or(usual.cols))?;
    let command = command(ExecRequest {
        command: request.command,
        args: request.args,
        cwd: request.cwd,
        env: request.env,
        as_user: request.as_user,
        as_root: request.as_root,
        timeout_sec: request.timeout_sec,
        stdin_b64: request.stdin_b64,
        max_output_bytes: request.max_output_bytes,
    })?;
    Ok((command, request.allocate_tty.then_some(size)))
}

fn exec_result(outcome: Outcome) -> ExecResult {
    ExecResult {
        exit_code: outcome.exit.code(),
        stdout_b64: Base64(outcome.stdout.bytes),
        stderr_b64: Base64(outcome.stderr.bytes),
        duration_ms: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
        timed_out: outcome.timed_out,
        signal: outcome.exit.signal().map(|signal| signal.to_string()),
        stdout_truncated: outcome.stdout.truncated,
        stderr_truncated: outcome.stderr.truncated,
    }
}

fn info(process: &Process) -> ProcessInfo {
    let end = process.end();
    ProcessInfo {
        process_id: process.id(),
        pid: process.pid(),
        command: process.command().to_owned(),
        args: process.args().to_owned(),
        state: state(end),
        exit_code: end.map(|end| end.exit.code()),
        started_at: rfc3339(process.started_at()),
        exited_at: end.map(|end| rfc3339(end.exited_at)),
    }
}

fn state(end: Option<End>) -> ProcessState {
    match end {
        Some(_) => ProcessState::Exited,
        None => ProcessState::Running,
    }
}

fn signal_name(end: End) -> Option<String> {
    end.exit.signal().map(|signal| signal.to_string())
}
