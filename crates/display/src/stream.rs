//! The socket to the X server, with a deadline for everything that happens on it.
//!
//! x11rb waits for ever by itself: a stopped server would hold a thread for each question.

use std::{
    io::{self, IoSlice},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};
use x11rb::{
    rust_connection::{DefaultStream, PollMode, Stream},
    utils::RawFdContainer,
};

/// A stream that fails with `TimedOut` once its deadline has passed, and from then on for good.
///
/// x11rb numbers a request before it waits for the socket: one that was given up there is counted
/// and never sent, and each later answer would be taken for that of the request before it.
#[derive(Debug)]
pub(crate) struct Bounded {
    inner: DefaultStream,
    deadline: Mutex<Instant>,
    given_up: AtomicBool,
}

impl Bounded {
    /// Connects to the display's socket: the one in the file system, else the abstract one
    /// (all there is when the X server could not make `/tmp/.X11-unix`).
    ///
    /// Never blocks: a server whose queue of connections is full counts as timed out.
    pub(crate) fn connect(number: u16, deadline: Instant) -> io::Result<Self> {
        let path = format!("/tmp/.X11-unix/X{number}");
        let stream =
            Self::connect_to(&SocketAddrUnix::new(path.as_str())?).or_else(|error| match error
                .kind()
            {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    let name = SocketAddrUnix::new_abstract_name(path.as_bytes())?;
                    Self::connect_to(&name).map_err(|_| error)
                }
                _ => Err(error),
            })?;
        let (inner, _peer) = DefaultStream::from_unix_stream(stream)?;
        let deadline = Mutex::new(deadline);
        Ok(Self {
            inner,
            deadline,
            given_up: AtomicBool::new(false),
        })
    }

    /// Moves the deadline, for a connection that outlives one question. One that was missed stays
    /// missed.
    pub(crate) fn set_deadline(&self, deadline: Instant) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    fn deadline(&self) -> Instant {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails once a deadline was missed.
    fn check(&self) -> io::Result<()> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn connect_to(address: &SocketAddrUnix) -> io::Result<UnixStream> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match connect(&socket, address) {
            Ok(()) => Ok(socket.into()),
            Err(rustix::io::Errno::AGAIN) => Err(io::ErrorKind::TimedOut.into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Bounded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Stream for Bounded {
    fn poll(&self, mode: PollMode) -> io::Result<()> {
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, mode.readable());
        events.set(PollFlags::OUT, mode.writable());
        self.check()?;
        loop {
            let left = self.deadline().saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.given_up.store(true, Ordering::Relaxed);
                return Err(io::ErrorKind::TimedOut.into());
            }
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.inner, events)], Some(&left)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read(&self, buf: &mut [u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buf, fds)
    }

    fn write(&self, buf: &[u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.check()?;
        self.inner.write(buf, fds)
    }

    fn write_vectored(
        &self,
        bufs: &[IoSlice<'_>],
        fds: &mut Vec<RawFdContainer>,
    ) -> io::Result<usize> {
        self.check()?;
        self.inner.write_vectored(bufs, fds)
    }
}
