//! Files on their way to a client that never pass through this process: sendfile(2) beneath
//! hyper.
//!
//! hyper writes bytes that it can see. A body that has a piece of a file instead puts the piece
//! into the connection's [`Outbox`] and gives hyper a stand-in of the same length. The stream
//! that hyper writes to ([`FileStream`]) knows stand-ins by their address, and sends the next
//! piece in the outbox in place of one. Both are queues, so the order is the same.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IoSlice},
    os::unix::fs::FileExt as _,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use browserd_files::Piece;
use bytes::Bytes;
use rustix::{fs::sendfile, io::Errno};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use super::{admission::Place, linger::Linger};

/// What a file that the kernel cannot send is read into.
const COPY_BYTES: usize = 64 * 1024;
/// Zeros that nobody reads. The allocator has them from the kernel, which gives no memory to
/// pages that are never touched.
static STAND_IN: LazyLock<Vec<u8>> = LazyLock::new(|| vec![0; Piece::MAX_BYTES]);

/// The pieces of files that a connection has still to send; an extension of every request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Mutex<VecDeque<Piece>>>);

impl Outbox {
    /// Accepts a piece; what is returned must be the next data of the response's body, as it is.
    pub(crate) fn accept(&self, piece: Piece) -> Bytes {
        let stand_in = Bytes::from_static(&STAND_IN[..piece.length]);
        self.pieces().push_back(piece);
        stand_in
    }

    fn pieces(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends up to `length` bytes of the next piece.
    fn send(&self, socket: &TcpStream, length: usize) -> io::Result<usize> {
        let mut pieces = self.pieces();
        let piece = pieces
            .front_mut()
            .ok_or_else(|| io::Error::other("a stand-in without its piece"))?;
        let sent = send(socket, &piece.file, piece.offset, piece.length.min(length))?;
        if sent == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a file became shorter while it was sent",
            ));
        }
        piece.offset += sent as u64;
        piece.length -= sent;
        if piece.length == 0 {
            pieces.pop_front();
        }
        Ok(sent)
    }
}

fn send(socket: &TcpStream, file: &File, mut offset: u64, length: usize) -> io::Result<usize> {
    match sendfile(socket, file, Some(&mut offset), length) {
        // The file system cannot.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let mut copy = vec![0; length.min(COPY_BYTES)];
            let read = file.read_at(&mut copy, offset)?;
            Ok(rustix::io::write(socket, &copy[..read])?)
        }
        sent => Ok(sent?),
    }
}

fn is_stand_in(slice: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&slice.as_ptr())
}

/// A connection that sends pieces of files where hyper writes their stand-ins, and is closed as
/// [`Linger`] does it.
#[derive(Debug)]
pub(crate) struct FileStream {
    stream: TcpStream,
    place: Place,
    outbox: Outbox,
    linger: Linger,
}

impl FileStream {
    /// `outbox` is that of the connection's requests.
    pub(crate) fn new(stream: TcpStream, place: Place, outbox: Outbox, linger: Linger) -> Self {
        Self {
            stream,
            place,
            outbox,
            linger,
        }
    }

    /// The stream itself, and its place among the connections.
    pub(crate) fn into_parts(self) -> (TcpStream, Place) {
        (self.stream, self.place)
    }

    fn poll_send(&self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let send = || self.outbox.send(&self.stream, length);
            match self.stream.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for FileStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for FileStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if is_stand_in(buf) {
            return self.poll_send(cx, buf.len());
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let plain = bufs.iter().take_while(|it| !is_stand_in(it)).count();
        match bufs.get(plain) {
            Some(stand_in) if plain == 0 => self.poll_send(cx, stand_in.len()),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, &bufs[..plain]),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, linger, .. } = &mut *self;
        linger.poll_shutdown(stream, cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::listener::{Admission, admission::Admitted};

    const LONGEST: usize = Piece::MAX_BYTES;

    /// A file whose bytes tell where they stand.
    fn file(length: usize) -> (Arc<File>, Vec<u8>) {
        let content: Vec<u8> = (0..length)
            .map(|at| u8::try_from(at / 251 % 256).unwrap())
            .collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        (Arc::new(file), content)
    }

    async fn pair() -> (FileStream, Outbox, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (accepted, client) = tokio::join!(listener.accept(), client);
        let outbox = Outbox::default();
        let linger = Linger::new(CancellationToken::new());
        let Admitted::In(place) = Admission::new(1).admit() else {
            panic!("there was a place");
        };
        let stream = FileStream::new(accepted.unwrap().0, place, outbox.clone(), linger);
        (stream, outbox, client.unwrap())
    }

    fn piece(file: &Arc<File>, offset: usize, length: usize) -> Piece {
        Piece {
            file: Arc::clone(file),
            offset: offset as u64,
            length,
        }
    }

    /// Writes all of it, several slices at a time as hyper does.
    async fn write(stream: &mut FileStream, parts: &[Bytes]) -> io::Result<()> {
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let written = stream.write_vectored(left).await?;
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    #[tokio::test]
    async fn pieces_arrive_in_the_place_of_their_stand_ins() {
        let (file, content) = file(3 * LONGEST);
        let (mut stream, outbox, mut client) = pair().await;
        let expected = [
            b"head",
            &content[7..LONGEST],
            b"middle",
            &content[LONGEST..],
        ]
        .concat();
        let parts = [
            Bytes::from_static(b"head"),
            outbox.accept(piece(&file, 7, LONGEST - 7)),
            Bytes::from_static(b"middle"),
            outbox.accept(piece(&file, LONGEST, LONGEST)),
            outbox.accept(piece(&file, 2 * LONGEST, LONGEST)),
        ];
        let sending = async move { write(&mut stream, &parts).await.unwrap() };
        let receiving = async {
            let mut received = Vec::new();
            client.read_to_end(&mut received).await.unwrap();
            received
        };
        // The stream is dropped, and so closed, once everything is on its way.
        let ((), received) = tokio::join!(sending, receiving);
        assert!(received == expected, "{} bytes", received.len());
        assert!(outbox.pieces().is_empty());
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_ends_the_connection() {
        let (file, _) = file(1000);
        let (mut stream, outbox, _client) = pair().await;
        let stand_in = outbox.accept(piece(&file, 0, 1001));
        let error = write(&mut stream, &[stand_in]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    /// A file of /proc has no pages that could be sent.
    #[tokio::test]
    async fn what_the_kernel_cannot_send_is_copied() {
        let (mut stream, outbox, mut client) = pair().await;
        let path = "/proc/self/cmdline";
        let expected = std::fs::read(path).unwrap();
        let file = Arc::new(File::open(path).unwrap());
        let refused = sendfile(&stream.stream, &file, Some(&mut 0), expected.len());
        assert_eq!(refused, Err(Errno::INVAL), "the kernel can");
        let stand_in = outbox.accept(piece(&file, 0, expected.len()));
        write(&mut stream, &[stand_in]).await.unwrap();
        let mut received = vec![0; expected.len()];
        client.read_exact(&mut received).await.unwrap();
        assert_eq!(received, expected);
    }
}
