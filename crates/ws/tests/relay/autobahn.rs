//! The framing cases of the Autobahn WebSocket suite (0.8.2) that mean something to a relay,
//! by the suite's numbers: each is played to an echo server through the relay and directly,
//! and must end alike. (The suite itself runs on Python 2 only.) Left out: 12 and 13
//! (compression, which is never negotiated) and how fast invalid UTF-8 is noticed (6.4),
//! which is the upstream's doing.

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::task::TaskTracker;

use self::Want::{Closed, Echo, Fails};
use crate::support::{ASKED, over_tcp, tcp};
use crate::wire::{CLOSE, CONTINUATION, FIN, Frame, close_payload, masked, take_frame};

/// How a case ends for a client.
#[derive(Debug, Clone)]
pub(crate) enum Want {
    /// These frames come; a close of 1000 is then answered.
    Echo(Vec<Frame>),
    /// These frames come, and the close that was sent is answered with this code.
    Closed(Vec<Frame>, Option<u16>),
    /// Some of these frames come, and the connection fails.
    Fails(Vec<Frame>),
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) frames: Vec<Vec<u8>>,
    /// How many bytes are written at once.
    pub(crate) chop: usize,
    pub(crate) want: Want,
}

pub(crate) fn case(id: impl Into<String>, frames: Vec<Vec<u8>>, want: Want) -> Case {
    Case {
        id: id.into(),
        frames,
        chop: usize::MAX,
        want,
    }
}

impl Case {
    pub(crate) fn chopped(mut self, chop: usize) -> Self {
        self.chop = chop;
        self
    }
}

pub(crate) fn reply(opcode: u8, payload: &[u8]) -> Frame {
    Frame {
        first: FIN | opcode,
        payload: payload.to_vec(),
    }
}

pub(crate) fn close(code: u16) -> Vec<u8> {
    masked(FIN | CLOSE, &close_payload(code, ""))
}

/// Cuts a message into fragments of at most `size` bytes.
pub(crate) fn fragments(opcode: u8, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size);
    payload
        .chunks(size)
        .enumerate()
        .map(|(i, piece)| {
            let opcode = if i == 0 { opcode } else { CONTINUATION };
            masked(if i + 1 == count { FIN | opcode } else { opcode }, piece)
        })
        .collect()
}

/// Echoes messages until its client ends.
async fn echo(stream: TcpStream) {
    let config = WebSocketConfig::default()
        .max_frame_size(None)
        .max_message_size(None);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    while let Some(Ok(message)) = socket.next().await {
        let data = message.is_text() || message.is_binary();
        if data && socket.send(message).await.is_err() {
            break;
        }
    }
}

/// A connection to an echo server, through the relay or not.
pub(crate) async fn connect(relayed: bool) -> TcpStream {
    let (client, upstream) = if relayed {
        let rig = over_tcp().await;
        (rig.client, rig.upstream)
    } else {
        tcp().await
    };
    TaskTracker::new().spawn(echo(upstream));
    client
}

/// Reads frames until there are `count`, or to the end.
async fn read_frames(from: &mut OwnedReadHalf, bytes: &mut Vec<u8>, count: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut piece = vec![0; 1 << 20];
    while frames.len() < count {
        if let Some(frame) = take_frame(bytes) {
            frames.push(frame);
            continue;
        }
        match from.read(&mut piece).await {
            Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
            _ => break,
        }
    }
    frames
}

/// Writes a case's frames; an upstream that has failed the connection takes no more.
async fn write_chopped(to: &mut OwnedWriteHalf, case: &Case) {
    let stream = case.frames.concat();
    for piece in stream.chunks(case.chop.min(stream.len())) {
        if to.write_all(piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Plays a case and returns the close frame at its end, if any.
async fn play(case: &Case, relayed: bool) -> Option<Frame> {
    let (mut from, mut to) = connect(relayed).await.into_split();
    let (Echo(wanted) | Closed(wanted, _) | Fails(wanted)) = &case.want;
    let first = if matches!(case.want, Echo(_)) {
        wanted.len()
    } else {
        usize::MAX
    };
    let mut bytes = Vec::new();
    let read = read_frames(&mut from, &mut bytes, first);
    let ((), mut frames) = tokio::join!(write_chopped(&mut to, case), read);
    if matches!(case.want, Echo(_)) {
        to.write_all(&close(1000)).await.unwrap();
        frames.extend(read_frames(&mut from, &mut bytes, usize::MAX).await);
    }
    let id = format!("{} {}", case.id, if relayed { "relayed" } else { "direct" });
    assert!(bytes.is_empty(), "{id}: cut within a frame: {bytes:?}");
    let closed = frames.pop_if(|frame| frame.opcode() == CLOSE);
    let code = closed.as_ref().and_then(Frame::code);
    match &case.want {
        Echo(wanted) => assert!(
            (&frames, code) == (wanted, Some(1000)),
            "{id}: {frames:?} {code:?}"
        ),
        Closed(wanted, wanted_code) => {
            assert_eq!((&frames, code), (wanted, *wanted_code), "{id}");
            assert!(closed.is_some(), "{id}");
        }
        // What was under way when the server gave up may be lost with its reset.
        Fails(wanted) => assert!(wanted.starts_with(&frames), "{id}: {frames:?}"),
    }
    closed
}

/// Plays each case both ways.
pub(crate) async fn play_all(cases: Vec<Case>) {
    for case in cases {
        let direct = play(&case, false).await;
        let relayed = play(&case, true).await;
        if direct.is_some() {
            assert_eq!(relayed, direct, "{}", case.id);
            continue;
        }
        // The relay always says something where the upstream just hangs up: what its owner
        // answers, or the client's own code if the client has closed.
        let code = relayed.expect("a close frame").code();
        let closed = ["7.", "3.7"].iter().any(|id| case.id.starts_with(id));
        assert!(code == Some(ASKED.code) || closed, "{}: {code:?}", case.id);
    }
}
