//! The mouse and the keyboard by the program `xdotool`: the reference for the other way, and
//! what to fall back on.
//!
//! One process for each step, the next one when the last has ended. The characters that it can
//! type are its own affair.

use std::{
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    backend::{Backend, Clock},
    names::{self, Key},
    path::Bounds,
    request::Point,
    typing::Tap,
};
use crate::{Display, Error};

const PROGRAM: &str = "xdotool";
/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the X server may take to tell its size.
const SIZE_PATIENCE: Duration = Duration::from_secs(5);
/// How many characters one process types; between two, the caller may have gone.
const CHUNK: usize = 200;

/// The program, and what it holds down.
#[derive(Debug)]
pub(super) struct Xdotool {
    display: Display,
    keys: Vec<Key>,
    buttons: Vec<u8>,
}

impl Xdotool {
    pub(super) fn new(display: Display) -> Self {
        Self {
            display,
            keys: Vec::new(),
            buttons: Vec::new(),
        }
    }

    /// Runs one step and returns what it printed.
    fn run(&self, arguments: &[&str], input: &str) -> Result<String, Error> {
        let failed = |source: std::io::Error| Error::Xdotool {
            step: arguments.first().copied().unwrap_or_default().to_owned(),
            reason: source.to_string(),
        };
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env("DISPLAY", self.display.name())
            // It reads the text by the locale's encoding.
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = {
            let _guard = browserd_process::fork_guard();
            command.spawn().map_err(failed)?
        };
        let ended = feed_and_wait(&mut child, input, Instant::now() + PATIENCE);
        if ended.is_err() {
            // It may have ended in between.
            let _ = child.kill();
        }
        let status = child.wait().map_err(failed)?;
        ended.map_err(failed)?;
        let (mut out, mut err) = (String::new(), String::new());
        if let (Some(stdout), Some(stderr)) = (&mut child.stdout, &mut child.stderr) {
            stdout.read_to_string(&mut out).map_err(failed)?;
            stderr.read_to_string(&mut err).map_err(failed)?;
        }
        if status.success() && err.trim().is_empty() {
            return Ok(out);
        }
        Err(Error::Xdotool {
            step: arguments.first().copied().unwrap_or_default().to_owned(),
            reason: format!("{status}: {}", err.trim()),
        })
    }

    fn step(&self, arguments: &[&str]) -> Result<(), Error> {
        self.run(arguments, "").map(|_| ())
    }

    fn key(&self, command: &str, key: Key) -> Result<(), Error> {
        self.step(&[command, "--", &names::name_of(key)])
    }
}

/// The text is shorter than a pipe is long, so writing it cannot block.
fn feed_and_wait(child: &mut Child, input: &str, deadline: Instant) -> std::io::Result<()> {
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input.as_bytes()) {
            // It does not read what it does not need.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            done => done?,
        }
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(std::io::ErrorKind::NotFound)?;
    let end = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        let left = Timespec::try_from(left).map_err(std::io::Error::other)?;
        match poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&left)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The key for what `xdotool type` would make another key of: a line end becomes Linefeed.
fn key_of(character: char) -> Option<&'static str> {
    match character {
        '\n' => Some("Return"),
        '\t' => Some("Tab"),
        '\u{8}' => Some("BackSpace"),
        _ => None,
    }
}

impl Backend for Xdotool {
    fn begin(&mut self) -> Result<Bounds, Error> {
        let size = self.display.connect(SIZE_PATIENCE)?.root_size()?;
        Ok(Bounds {
            width: size.width,
            height: size.height,
        })
    }

    fn position(&mut self) -> Result<Point, Error> {
        let out = self.run(&["getmouselocation", "--shell"], "")?;
        let value = |name: &str| {
            let line = out.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse().ok()
        };
        match (value("X="), value("Y=")) {
            (Some(x), Some(y)) => Ok(Point { x, y }),
            _ => Err(Error::Xdotool {
                step: "getmouselocation".to_owned(),
                reason: format!("it printed {out:?}"),
            }),
        }
    }

    fn motion(&mut self, to: Point) -> Result<(), Error> {
        self.step(&["mousemove", "--", &to.x.to_string(), &to.y.to_string()])
    }

    fn button(&mut self, number: u8, down: bool) -> Result<(), Error> {
        self.buttons.retain(|&other| other != number);
        if down {
            self.buttons.push(number);
        }
        let command = if down { "mousedown" } else { "mouseup" };
        self.step(&[command, "--", &number.to_string()])
    }

    fn prepare(&mut self, _keys: &[Key]) -> Result<(), Error> {
        Ok(())
    }

    fn press(&mut self, keys: &[Key]) -> Result<(), Error> {
        for &key in keys {
            self.keys.push(key);
            self.key("keydown", key)?;
        }
        Ok(())
    }

    fn release(&mut self, keys: &[Key]) -> Result<(), Error> {
        for &key in keys.iter().rev() {
            self.key("keyup", key)?;
            if let Some(at) = self.keys.iter().rposition(|&other| other == key) {
                self.keys.remove(at);
            }
        }
        Ok(())
    }

    fn type_taps(&mut self, taps: &[Tap], clock: &Clock) -> Result<(), Error> {
        let mut rest = taps;
        while let Some(first) = rest.first() {
            clock.check()?;
            if let Some(key) = key_of(first.character) {
                self.step(&["key", "--", key])?;
                clock.pause(first.pause)?;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let even = |tap: &&Tap| key_of(tap.character).is_none() && tap.pause.is_zero();
            let count = rest.iter().take(CHUNK).take_while(even).count().max(1);
            let (now, later) = rest.split_at(count);
            let text: String = now.iter().map(|tap| tap.character).collect();
            self.run(&["type", "--delay", "0", "--file", "-"], &text)?;
            clock.pause(now.last().map_or(Duration::ZERO, |tap| tap.pause))?;
            rest = later;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn end(&mut self, went_well: bool) -> Result<(), Error> {
        let (keys, buttons) = (
            std::mem::take(&mut self.keys),
            std::mem::take(&mut self.buttons),
        );
        if went_well {
            return Ok(());
        }
        // Each is tried, whatever becomes of the others.
        let buttons = buttons.iter().rev().map(|number| {
            let number = number.to_string();
            self.step(&["mouseup", "--", &number])
        });
        let buttons: Vec<_> = buttons.collect();
        let keys = keys.iter().rev().map(|&key| self.key("keyup", key));
        let keys: Vec<_> = keys.collect();
        buttons.into_iter().chain(keys).collect()
    }
}
