//! A terminal over a WebSocket: binary frames are its bytes both ways, text frames are control.
//!
//! ```text
//!            ┌── input:  frames ──► stdin, size
//! attached ──┤                                  ──► close frame ──► ended
//!            └── output: output, exit ──► frames
//! ```

use std::{future::pending, time::Duration};

use axum::{
    extract::{Request, State},
    response::Response,
};
use browserd_api::{
    Error,
    process::{AttachControl, AttachEvent, AttachParameters, ProcessPath},
};
use browserd_process::{Attachment, Event, Process, Size};
use browserd_ws::relay::Leg;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use http::HeaderValue;
use hyper::upgrade::OnUpgrade;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    error::{ApiError, Result},
    extract::{Path, Query},
    handshake, session,
};

/// Bytes of one message from a client. A paste may be long; a file is uploaded.
const LARGEST_MESSAGE: usize = 1 << 20;
/// Answers to control frames that wait for a client that does not read.
const WAITING_ANSWERS: usize = 16;
/// How long a client may take to answer a close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// The close code that tells of somebody else at the terminal.
const TAKEN_OVER: CloseCode = CloseCode::Library(4001);

type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;
type Source = SplitStream<WebSocketStream<TcpStream>>;

/// Attach to the terminal of a process
///
/// A WebSocket. Binary frames are raw bytes both ways. Text frames are control: the client
/// sends `{"type":"resize","rows":n,"cols":n}`, the server `{"type":"exit","exitCode":n}` and
/// then closes with 1000. The last 64 KiB of output come first. One client is attached at a
/// time; `takeover=true` closes the other one with 4001. 1001 tells that the daemon shuts down.
#[utoipa::path(
    get,
    path = "/process/{process_id}/attach",
    tag = "process",
    params(ProcessPath, AttachParameters),
    responses(
        (status = 101, description = "Attached"),
        (status = 400, description = "No WebSocket handshake, or the process has no terminal", body = Error),
        (status = 404, description = "There is no such process", body = Error),
        (status = 409, description = "Somebody is attached already", body = Error),
        (status = 429, description = "The process has too many streams already", body = Error),
        (status = "default", description = "Any other failure", body = Error)
    )
)]
pub(crate) async fn attach_process(
    State(app): State<App>,
    Path(ProcessPath { process_id }): Path<ProcessPath>,
    Query(AttachParameters { takeover }): Query<AttachParameters>,
    mut request: Request,
) -> Result<Response> {
    let process = app.domains.process.get(process_id)?;
    let client = request.extensions_mut().remove::<OnUpgrade>();
    if !handshake::is_asked_for(request.headers()) {
        return Err(ApiError::bad_request(
            "Upgrade: a terminal is attached to by a WebSocket",
        ));
    }
    let key = handshake::key(request.method(), request.version(), request.headers())?;
    let client = client.ok_or_else(|| ApiError::bad_request("this connection cannot upgrade"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .expect("base64 can be a header value");
    let attachment = process.attach(takeover)?;
    let ping_every = app.config.relay.ping_every;
    app.sessions
        .run(move |stop| converse(client, attachment, ping_every, stop));
    Ok(handshake::switching(accept))
}

/// How a conversation ends.
#[derive(Debug)]
enum Ending {
    /// The client is told.
    Close(CloseCode, &'static str),
    /// There is nobody to be told.
    Gone,
}

async fn converse(
    client: OnUpgrade,
    mut attachment: Attachment,
    ping_every: Option<Duration>,
    stop: CancellationToken,
) {
    let (Leg { stream, read_ahead }, _place) = match client.await {
        Ok(upgraded) => session::leg(upgraded),
        Err(error) => {
            tracing::debug!(%error, "the client was gone before its upgrade");
            return;
        }
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let socket =
        WebSocketStream::from_partially_read(stream, read_ahead.into(), Role::Server, Some(config));
    let (mut sink, mut source) = socket.await.split();
    let process = attachment.process().clone();
    let taken_over = attachment.taken_over().clone();
    let (answer, answers) = mpsc::channel(WAITING_ANSWERS);
    let ending = tokio::select! {
        // Who ends it from outside comes first: output may never cease.
        biased;
        () = stop.cancelled() => Ending::Close(CloseCode::Away, "browserd is shutting down"),
        () = taken_over.cancelled() => Ending::Close(TAKEN_OVER, "taken over"),
        ending = input(&mut source, &process, &answer) => ending,
        ending = output(&mut sink, &mut attachment, answers, ping_every) => ending,
    };
    tracing::debug!(process = %process.id(), ?ending, "terminal left");
    drop(attachment);
    if let Ending::Close(code, reason) = ending {
        // One that does not take it is dropped.
        let _ = timeout(CLOSE_WAIT, close(sink, source, code, reason)).await;
    }
}

/// Sends the close frame, and reads until the client has answered it.
async fn close(mut sink: Sink, mut source: Source, code: CloseCode, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = source.next().await {}
    }
}

/// What the client sends, until it goes.
async fn input(
    source: &mut Source,
    process: &Process,
    answer: &mpsc::Sender<AttachEvent>,
) -> Ending {
    loop {
        let told = match source.next().await {
            None => return Ending::Gone,
            Some(Err(error)) => return broken(&error),
            // One at an exited process is told of the exit next.
            Some(Ok(Message::Binary(bytes))) => drop_exited(process.write_all(&bytes).await),
            Some(Ok(Message::Text(text))) => control(process, &text),
            // tungstenite answers pings and closes while the next message is read.
            Some(Ok(_)) => Ok(()),
        };
        if let Err(message) = told {
            // Nobody takes it only when the conversation ends.
            let _ = answer.send(AttachEvent::Error { message }).await;
        }
    }
}

fn drop_exited(written: std::result::Result<(), browserd_process::Error>) -> Told {
    match written {
        Ok(()) | Err(browserd_process::Error::Exited { .. }) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Done, or what the client is told.
type Told = std::result::Result<(), String>;

/// Of text that is no control. Many clients send what is typed as text.
const NO_CONTROL: &str = r#"a text frame is control, as in {"type":"resize","rows":24,"cols":80}; send binary frames for what is typed"#;

fn not_control(text: &str, error: &serde_json::Error) -> String {
    let is_object = serde_json::from_str::<serde_json::Map<_, _>>(text).is_ok();
    if is_object {
        format!("a text frame is control: {error}")
    } else {
        NO_CONTROL.to_owned()
    }
}

fn control(process: &Process, text: &str) -> Told {
    let control = serde_json::from_str(text);
    let AttachControl::Resize { rows, cols } =
        control.map_err(|error| not_control(text, &error))?;
    drop_exited(process.resize(Size { rows, cols }))
}

/// What a message that cannot be read leads to.
fn broken(error: &tungstenite::Error) -> Ending {
    match error {
        tungstenite::Error::Capacity(_) => {
            Ending::Close(CloseCode::Size, "a message is larger than 1 MiB")
        }
        tungstenite::Error::Utf8(_) => Ending::Close(CloseCode::Invalid, "text that is not UTF-8"),
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => Ending::Gone,
        tungstenite::Error::Protocol(_) => Ending::Close(CloseCode::Protocol, "malformed frame"),
        _ => Ending::Gone,
    }
}

/// What the client is sent, until the process has exited.
async fn output(
    sink: &mut Sink,
    attachment: &mut Attachment,
    mut answers: mpsc::Receiver<AttachEvent>,
    ping_every: Option<Duration>,
) -> Ending {
    let mut pings = ping_every.map(|every| {
        let mut pings = interval_at(Instant::now() + every, every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings
    });
    let tick = async |pings: &mut Option<tokio::time::Interval>| match pings {
        Some(pings) => drop(pings.tick().await),
        None => pending().await,
    };
    loop {
        let message = tokio::select! {
            // Output may never cease, so that it comes last.
            biased;
            Some(event) = answers.recv() => text(&event),
            () = tick(&mut pings) => Message::Ping(Vec::new().into()),
            event = attachment.reader().next() => match event {
                Some(Event::Data { bytes, .. }) => Message::Binary(bytes),
                Some(Event::Gap { lost_bytes, .. }) => text(&AttachEvent::Gap { lost_bytes }),
                None => break,
            },
        };
        if sink.send(message).await.is_err() {
            return Ending::Gone;
        }
    }
    // The output ends a moment before the process counts as ended.
    let end = attachment.process().ended().await;
    let exit_code = end.exit.code();
    match sink.send(text(&AttachEvent::Exit { exit_code })).await {
        Ok(()) => Ending::Close(CloseCode::Normal, "exited"),
        Err(_) => Ending::Gone,
    }
}

fn text(event: &AttachEvent) -> Message {
    let json = serde_json::to_string(event);
    Message::Text(json.expect("wire types have a JSON form").into())
}
