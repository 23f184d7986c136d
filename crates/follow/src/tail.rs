//! What a follower knows of its file, and one step of reading it. No step waits.

mod file;
mod siblings;
mod start;

use std::collections::VecDeque;
use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use tokio::sync::Notify;

use self::file::{Fresh, OpenFile, Past, Read};
use self::siblings::{Copies, Sibling};
use crate::lines::Lines;
use crate::watch::Watch;
use crate::{Config, Error, Event, Start, State};

/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// How many rotated files are held open at most. More are found by their names later.
const MAX_HELD: usize = 32;
/// How many files that were read are remembered at most.
const MAX_DONE: usize = 1024;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something changed; step again once [`Tail::pop`] has nothing left.
    Progress,
    /// Nothing to read until something changes.
    Idle,
    /// What `pop` still has is the last.
    Ended,
}

/// The reader's state.
///
/// ```text
///   path ──► waiting (last of the list) ──► … ──► current ──► lines ──► pop
/// ```
#[derive(Debug)]
pub(crate) struct Tail {
    config: Config,
    /// `None` without `follow`.
    watch: Option<Watch>,
    /// The file that is read.
    current: Option<OpenFile>,
    /// Files that came to the path after `current`, oldest first.
    waiting: VecDeque<OpenFile>,
    /// `current` was at its end when the next file already had content.
    finished: bool,
    /// Files beside the path that were rotated away before there was one at the path.
    before: Vec<Sibling>,
    /// Files beside the path that are no copies of what is still to be read.
    copied: Vec<Sibling>,
    /// The start was applied.
    begun: bool,
    state: Option<State>,
    /// What is yielded before the next of `lines`.
    events: VecDeque<Event>,
    lines: Lines,
    chunk: Vec<u8>,
}

impl Tail {
    pub(crate) fn new(config: Config, wake: &Arc<Notify>) -> Result<Self, Error> {
        let watch = config
            .follow
            .then(|| Watch::new(&config.path, wake))
            .transpose()?;
        Ok(Self {
            watch,
            current: None,
            waiting: VecDeque::new(),
            finished: false,
            before: Vec::new(),
            copied: Vec::new(),
            begun: false,
            state: None,
            events: VecDeque::new(),
            lines: Lines::new(config.max_line_bytes),
            chunk: Vec::new(),
            config,
        })
    }

    /// The next event that needs no reading.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.events
            .pop_front()
            .or_else(|| self.lines.pop().map(Event::Line))
    }

    /// Read on. Only once [`Tail::pop`] has nothing left.
    pub(crate) fn step(&mut self) -> Result<Step, Error> {
        // The watches come first, so that whatever is missed below wakes.
        if let Some(watch) = &mut self.watch {
            watch.aim(&self.config.path)?;
        }
        let look = if self.begun {
            self.look()
        } else {
            self.begin()
        };
        let state = match look {
            Ok(()) => State::Reading,
            Err(Failure::Stop(error)) => return Err(error),
            Err(Failure::Io(source)) if !self.config.follow => {
                return Err(Error::Open {
                    path: self.config.path.clone(),
                    source,
                });
            }
            Err(Failure::Io(error)) if is_missing(&error) => State::Missing,
            Err(Failure::Io(error)) => State::Unreadable(error.to_string()),
        };
        let read = self.read();
        let step = match read {
            Ok(step) => step,
            Err(source) if !self.config.follow => {
                return Err(Error::Read {
                    path: self.config.path.clone(),
                    source,
                });
            }
            Err(error) => {
                self.enter(State::Unreadable(error.to_string()));
                return Ok(Step::Idle);
            }
        };
        // A file that is missing for the moment of its rotation is not worth telling.
        if step == Step::Idle || state == State::Reading {
            self.enter(state);
        }
        if step == Step::Ended {
            self.flush();
        }
        Ok(step)
    }

    /// Open the first file, at the place asked for.
    fn begin(&mut self) -> Result<(), Failure> {
        let path = self.config.path.clone();
        self.copied = siblings::present(&path);
        match self.config.start.clone() {
            Start::Resume {
                inode,
                born_ns,
                offset,
            } => {
                let mut found = siblings::by_inode(&path, inode, born_ns)?;
                self.begun = true;
                let whole = found.as_mut().map_or(Ok(false), |file| file.seek(offset))?;
                if !whole {
                    self.gap(None);
                }
                if let Some(file) = found {
                    self.hold(file)?;
                }
            }
            Start::LastMatch(needle) => {
                let max = self.config.max_line_bytes;
                let (mut file, offset) =
                    self.expect_new(|| siblings::last_match(&path, &needle, max))?;
                file.seek(offset)?;
                self.hold(file)?;
            }
            _ => {}
        }
        if !self.begun {
            let mut file = self.expect_new(|| OpenFile::open(&path))?;
            let offset = start::offset(&file, &self.config)?;
            file.seek(offset)?;
            self.hold(file)?;
        }
        self.look()
    }

    /// Open the first file. If it is missing, all that comes later is new from its first byte,
    /// also what is rotated away before it is seen.
    fn expect_new<T>(&mut self, open: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let before = siblings::present(&self.config.path);
        let opened = open();
        self.begun = match &opened {
            Ok(_) => true,
            Err(error) => is_missing(error),
        };
        if self.begun && opened.is_err() {
            self.before = before;
        }
        opened
    }

    /// See what the path is now; hold it if it is new, and what came and went before it.
    fn look(&mut self) -> Result<(), Failure> {
        if self.waiting.len() >= MAX_HELD {
            return Ok(());
        }
        match std::fs::metadata(&self.config.path) {
            Ok(metadata) if self.files().any(|file| file.is(&metadata)) => return Ok(()),
            // Where there is none now, there may have been some that came and went.
            Err(error) if !is_missing(&error) => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        let (path, known) = (&self.config.path, self.known());
        let room = MAX_HELD - self.waiting.len();
        for file in siblings::since(path, self.newest(), &known, &self.before, room)? {
            self.hold(file)?;
        }
        Ok(())
    }

    /// Read a chunk of the current file, or go on to the next.
    fn read(&mut self) -> io::Result<Step> {
        loop {
            let Some(current) = &mut self.current else {
                return Ok(Step::Idle);
            };
            match current.read(&mut self.chunk, CHUNK_BYTES)? {
                Read::Data => {
                    let fresh = current.take_fresh();
                    if self.is_behind_copies(fresh)? {
                        continue;
                    }
                    self.finished = false;
                    let Some(current) = &self.current else {
                        return Ok(Step::Idle);
                    };
                    let (inode, born_ns) = (current.id().inode, current.born_ns());
                    self.lines
                        .push(&self.chunk, (inode, born_ns), current.offset());
                    return Ok(Step::Progress);
                }
                Read::Truncated(past) => self.was_cut(&past)?,
                Read::End => {
                    let ready = !self.waiting.is_empty() && self.writer_has_moved_on()?;
                    if !ready {
                        return Ok(if self.config.follow {
                            Step::Idle
                        } else {
                            Step::Ended
                        });
                    }
                    // One more look behind the proof that the writer has moved on.
                    if !std::mem::replace(&mut self.finished, true) {
                        continue;
                    }
                    self.advance();
                    return Ok(Step::Progress);
                }
            }
        }
    }

    /// The current file was cut: what it held behind the place that was reached is in the copy
    /// that was made of it, or lost.
    fn was_cut(&mut self, past: &Past) -> io::Result<()> {
        let known = self.known();
        let mut copies = siblings::copy_of(&self.config.path, past, &known, &self.copied)?;
        if let Some(copy) = copies.files.first_mut() {
            copy.lost_behind = past.missing_in(copy);
        } else if past.unread() > 0 {
            self.gap(Some(past.unread()));
        } else if copies.others {
            // Its own copy was replaced by those of what came after.
            self.gap(None);
        }
        self.read_first(copies);
        Ok(())
    }

    /// Whether there are copies of what the current file held before what was read just now, its
    /// first data. Then they are read first.
    fn is_behind_copies(&mut self, fresh: Option<Fresh>) -> io::Result<bool> {
        let path = &self.config.path;
        let since = match (fresh, &self.current) {
            (Some(Fresh::Cut), _) => None,
            // Only while it is at the path, what was made later beside it is a copy of it.
            (Some(Fresh::Opened), Some(current))
                if std::fs::metadata(path).is_ok_and(|metadata| current.is(&metadata)) =>
            {
                let Ok(born) = current.metadata()?.created() else {
                    return Ok(false);
                };
                Some(born)
            }
            _ => return Ok(false),
        };
        let known = self.known();
        let copies = siblings::copies_before(path, &self.chunk, since, &known, &self.copied)?;
        let again = !copies.files.is_empty();
        if let (true, Some(current)) = (again, &mut self.current) {
            current.read_anew();
        }
        self.read_first(copies);
        Ok(again)
    }

    /// Read copies before the current file.
    fn read_first(&mut self, copies: Copies) {
        self.copied = copies.done;
        if copies.files.is_empty() {
            return;
        }
        self.finished = false;
        let read_last = self.current.take();
        for file in copies.files.into_iter().chain(read_last).rev() {
            self.waiting.push_front(file);
        }
        self.current = self.waiting.pop_front();
    }

    /// Whether a file that came after the current one has content. A rotator may make a new file
    /// before the writer knows of it.
    fn writer_has_moved_on(&self) -> io::Result<bool> {
        if !self.config.follow || self.waiting.len() >= MAX_HELD {
            return Ok(true);
        }
        for file in &self.waiting {
            if !file.is_empty()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leave the current file for the next.
    fn advance(&mut self) {
        self.finished = false;
        let old = std::mem::replace(&mut self.current, self.waiting.pop_front());
        let Some(old) = old else { return };
        if old.lost_behind > 0 {
            self.gap(Some(old.lost_behind));
        }
        if let Ok(metadata) = old.metadata() {
            // Renamed away, it looks like a copy that was made meanwhile.
            self.copied.push(Sibling::unnamed(&metadata));
            let surplus = self.copied.len().saturating_sub(MAX_DONE);
            self.copied.drain(..surplus);
        }
        if let Some(watch) = &mut self.watch {
            watch.remove(old.as_fd());
        }
    }

    fn hold(&mut self, mut file: OpenFile) -> Result<(), Failure> {
        match &mut self.watch {
            Some(watch) => watch.add(file.as_fd()).map_err(Failure::Stop)?,
            None => file.limit_to_its_length()?,
        }
        if self.current.is_none() {
            self.current = Some(file);
        } else {
            self.waiting.push_back(file);
        }
        Ok(())
    }

    fn files(&self) -> impl Iterator<Item = &OpenFile> {
        self.current.iter().chain(&self.waiting)
    }

    fn known(&self) -> Vec<FileId> {
        self.files().map(OpenFile::id).collect()
    }

    fn newest(&self) -> Option<&OpenFile> {
        self.waiting.back().or(self.current.as_ref())
    }

    fn gap(&mut self, lost_bytes: Option<u64>) {
        self.flush();
        self.events.push_back(Event::Gap { lost_bytes });
    }

    fn flush(&mut self) {
        self.events.extend(self.lines.flush().map(Event::Line));
    }

    fn enter(&mut self, state: State) {
        if self.state.as_ref() != Some(&state) {
            self.state = Some(state.clone());
            self.events.push_back(Event::State(state));
        }
    }
}

/// Why a look at the path failed.
enum Failure {
    /// The path cannot be read now.
    Io(io::Error),
    /// It cannot be followed at all.
    Stop(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Device and inode, which tell one file from another while one of the two is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}
