//! One stream of lines on stdout, each with the name of the service that said it.
//!
//! As text a line is `chromium | …`. As JSON it is an object with the field `service`: the
//! daemon's own objects get it as their first field, the lines of others are its `message`.
//!
//! A thread writes, so a reader of stdout that stalls holds up nobody but those who wait for it
//! on purpose: log files are read no further ([`Source::send`]), what comes through pipes is
//! dropped, counted and told ([`Source::offer`]).

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::Error;

/// Lines under way: enough for a burst, and at some 200 bytes each not much memory.
const LINES: usize = 1024;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    Text,
    /// For a program: one object a line.
    Json,
}

/// Where lines go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Output {
    lines: mpsc::Sender<Vec<u8>>,
    format: Format,
}

/// The thread that writes. It ends when every [`Output`] and [`Source`] is gone.
#[derive(Debug)]
pub struct Writer {
    done: oneshot::Receiver<()>,
}

/// One service that says lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Source {
    output: Output,
    name: Arc<str>,
    structured: bool,
    lost: Arc<AtomicU64>,
}

impl Output {
    /// Starts the thread that writes to `stream`.
    pub fn start(
        format: Format,
        stream: impl Write + Send + 'static,
    ) -> Result<(Self, Writer), Error> {
        let (lines, mut incoming) = mpsc::channel::<Vec<u8>>(LINES);
        let (finished, done) = oneshot::channel();
        let mut stream = stream;
        let write = move || {
            while let Some(line) = incoming.blocking_recv() {
                // Nobody may read stdout any more, and the machine has other things to do.
                let _ = stream.write_all(&line);
                if incoming.is_empty() {
                    let _ = stream.flush();
                }
            }
            let _ = finished.send(());
        };
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(write)
            .map_err(Error::Writer)?;
        Ok((Self { lines, format }, Writer { done }))
    }

    /// A service of this name. `structured`: what it says is JSON objects when the format is.
    #[must_use]
    pub fn source(&self, name: &str, structured: bool) -> Source {
        Source {
            output: self.clone(),
            name: name.into(),
            structured,
            lost: Arc::default(),
        }
    }
}

impl Writer {
    /// Waits until all is written, but no longer than `patience`.
    pub async fn finish(self, patience: Duration) {
        // A stalled reader may take the last lines with it.
        let _ = tokio::time::timeout(patience, self.done).await;
    }
}

impl Source {
    /// Writes a line, and waits for room.
    ///
    /// # Cancel safety
    /// The line may be lost when the future is dropped.
    pub async fn send(&self, line: &[u8]) {
        let _ = self.output.lines.send(self.render(line)).await;
    }

    /// Writes a line if there is room, else counts it as lost; the next one that fits tells.
    pub fn offer(&self, line: &[u8]) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let notice = format!("{lost} lines of the log were lost: its reader is too slow");
            if self.try_send(notice.as_bytes()).is_err() {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
        if self.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn try_send(&self, line: &[u8]) -> Result<(), ()> {
        let room = self.output.lines.try_reserve().map_err(|_| ())?;
        room.send(self.render(line));
        Ok(())
    }

    fn render(&self, line: &[u8]) -> Vec<u8> {
        let mut rendered = Vec::with_capacity(line.len() + self.name.len() + 32);
        match self.output.format {
            Format::Text => {
                rendered.extend_from_slice(self.name.as_bytes());
                rendered.extend_from_slice(b" | ");
                rendered.extend_from_slice(line);
            }
            Format::Json => {
                let name = Value::from(&*self.name);
                let object = line.strip_prefix(b"{").filter(|_| self.is_object(line));
                let written = if let Some(fields) = object {
                    write!(rendered, "{{\"service\":{name},")
                        .and_then(|()| rendered.write_all(fields))
                } else {
                    let message = Value::from(String::from_utf8_lossy(line));
                    write!(rendered, "{{\"service\":{name},\"message\":{message}}}")
                };
                debug_assert!(written.is_ok(), "memory takes every write");
            }
        }
        rendered.push(b'\n');
        rendered
    }

    /// Whether a line is an object with fields, of one who says such.
    fn is_object(&self, line: &[u8]) -> bool {
        self.structured && line.starts_with(b"{\"") && line.ends_with(b"}")
    }
}

/// Whole lines, as a log subscriber writes them: each write is one.
impl Write for Source {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.offer(buffer.strip_suffix(b"\n").unwrap_or(buffer));
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[derive(Debug, Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(buffer);
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    async fn written(format: Format, structured: bool, lines: &[&str]) -> String {
        let sink = Sink::default();
        let (output, writer) = Output::start(format, sink.clone()).unwrap();
        let source = output.source("x", structured);
        for line in lines {
            source.send(line.as_bytes()).await;
        }
        drop((output, source));
        writer.finish(PATIENCE).await;
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn text_lines_carry_the_name() {
        let text = written(Format::Text, true, &["a", r#"{"b":1}"#]).await;
        assert_eq!(text, "x | a\nx | {\"b\":1}\n");
    }

    #[tokio::test]
    async fn json_lines_are_objects_with_the_name() {
        let lines = [r#"{"level":"INFO"}"#, "a \"panic\"", "{}"];
        let text = written(Format::Json, true, &lines).await;
        let objects: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(objects.len(), 3);
        assert!(objects.iter().all(|object| object["service"] == "x"));
        assert_eq!(objects[0]["level"], "INFO");
        assert_eq!(objects[1]["message"], "a \"panic\"");
        assert_eq!(objects[2]["message"], "{}");
    }

    #[tokio::test]
    async fn what_a_page_prints_is_no_field() {
        let text = written(Format::Json, false, &[r#"{"service":"browserd"}"#]).await;
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["service"], "x");
        assert_eq!(object["message"], r#"{"service":"browserd"}"#);
    }

    #[tokio::test]
    async fn a_stalled_reader_loses_lines_and_is_told() {
        let (reader, stalled) = io::pipe().unwrap();
        let (output, writer) = Output::start(Format::Text, stalled).unwrap();
        let source = output.source("x", false);
        // More than the queue, a pipe and one write hold.
        let line = "y".repeat(1000);
        for _ in 0..3 * LINES {
            source.offer(line.as_bytes());
        }
        assert!(source.lost.load(Ordering::Relaxed) > 0);
        let reading = thread::spawn(move || io::read_to_string(reader).unwrap());
        source.send(b"room again").await;
        source.offer(b"last");
        drop((output, source));
        writer.finish(PATIENCE).await;
        let text = reading.join().unwrap();
        assert!(text.contains("lines of the log were lost"), "not told");
        assert!(text.ends_with("x | last\n"), "the last line is missing");
    }
}
