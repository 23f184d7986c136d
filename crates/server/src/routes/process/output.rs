//! The output of a process as server-sent events.

use std::{io::Write as _, str::FromStr, time::SystemTime};

use base64_simd::STANDARD;
use browserd_api::process::{ErrorName, ExitName, GapName, OutputEvent, OutputStream};
use browserd_process::{Event as Piece, Offsets, Process, Reader, Stream};

use crate::{
    sse::{Event, Source},
    time::rfc3339,
};

/// What the id of the exit has behind its offsets. The last piece of output has the same offsets,
/// and who has only that must still be told of the exit.
const EXIT: &str = ".exit";

/// The id of an event of a process, by which a stream goes on behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offsets: Offsets,
    /// Nothing comes behind it.
    pub(super) is_exit: bool,
}

impl FromStr for Place {
    type Err = <Offsets as FromStr>::Err;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        let offsets = id.strip_suffix(EXIT);
        Ok(Self {
            offsets: offsets.unwrap_or(id).parse()?,
            is_exit: offsets.is_some(),
        })
    }
}

/// One reader's events, from its place to the exit.
pub(super) struct Output {
    process: Process,
    reader: Reader,
    has_ended: bool,
}

impl Output {
    pub(super) fn new(process: Process, reader: Reader) -> Self {
        Self {
            process,
            reader,
            has_ended: false,
        }
    }
}

impl Source for Output {
    async fn next(&mut self) -> Option<Event> {
        if self.has_ended {
            return None;
        }
        match self.reader.next().await {
            Some(Piece::Data {
                stream,
                bytes,
                next,
            }) => Some(data(stream, &bytes, next)),
            Some(Piece::Gap {
                stream,
                lost_bytes,
                next,
            }) => {
                let event = OutputEvent::Gap {
                    event: GapName::Gap,
                    stream: on_the_wire(stream),
                    lost_bytes,
                };
                Some(Event::new(next, &event))
            }
            None => {
                // The output ends a moment before the process counts as ended.
                let end = self.process.ended().await;
                self.has_ended = true;
                let event = OutputEvent::Exit {
                    event: ExitName::Exit,
                    exit_code: end.exit.code(),
                    signal: end.exit.signal().map(|signal| signal.to_string()),
                };
                let id = format_args!("{}{EXIT}", self.reader.place());
                Some(Event::new(id, &event))
            }
        }
    }

    fn farewell(&mut self) -> Option<Event> {
        if self.has_ended {
            return None;
        }
        let event = OutputEvent::Error {
            event: ErrorName::Error,
            timestamp: rfc3339(SystemTime::now()),
            message: "browserd is shutting down".to_owned(),
        };
        Some(Event::new(self.reader.place(), &event))
    }
}

const fn on_the_wire(stream: Stream) -> OutputStream {
    match stream {
        Stream::Stdout => OutputStream::Stdout,
        Stream::Stderr => OutputStream::Stderr,
    }
}

/// An [`OutputEvent::Data`], written out by hand: gigabytes go through here.
fn data(stream: Stream, bytes: &[u8], next: Offsets) -> Event {
    /// More than the longest end: two numbers of 20 digits, and what is around them.
    const END: usize = 64;
    let start = match stream {
        Stream::Stdout => br#"data: {"stream":"stdout","data_b64":""#,
        Stream::Stderr => br#"data: {"stream":"stderr","data_b64":""#,
    };
    let length = bytes.len().div_ceil(3) * 4;
    let mut text = Vec::with_capacity(start.len() + length + END);
    text.extend_from_slice(start);
    STANDARD.encode_append(bytes, &mut text);
    write!(text, "\"}}\nid: {next}\n\n").expect("memory takes all that is written to it");
    Event::written(text.into())
}

#[cfg(test)]
mod tests {
    use browserd_api::Base64;

    use super::*;

    #[test]
    fn the_exit_has_an_id_of_its_own() {
        let offsets = Offsets {
            stdout: 3,
            stderr: 1,
        };
        for (id, is_exit) in [("3.1", false), ("3.1.exit", true)] {
            assert_eq!(id.parse(), Ok(Place { offsets, is_exit }));
        }
        for id in [".exit", "3.exit", "3.1.exit.exit", "3.1.", "3.1.end"] {
            assert!(id.parse::<Place>().is_err(), "{id}");
        }
    }

    #[test]
    fn data_written_by_hand_is_the_wire_type() {
        let next = Offsets {
            stdout: u64::MAX,
            stderr: 7,
        };
        for (stream, length) in [
            (Stream::Stdout, 1),
            (Stream::Stderr, 2),
            (Stream::Stdout, 65_536),
        ] {
            let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
            let event = OutputEvent::Data {
                stream: on_the_wire(stream),
                data_b64: Base64(bytes.clone()),
            };
            let (ours, theirs) = (data(stream, &bytes, next), Event::new(next, &event));
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        }
    }
}
