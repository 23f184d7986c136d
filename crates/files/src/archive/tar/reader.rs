//! The members of an archive, one after the other.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rustix::fs::Timespec;

use super::{
    header::{BLOCK_BYTES, Block, Header, is_end},
    input::Input,
    pax::{Global, Local},
    sparse::{self, Layout, Part, Records},
};
use crate::{Error, Result, archive::stage::damaged, path::shorten};

/// Between two members there are extended headers, no more than this.
const MAX_HEADER_BYTES: u64 = 1024 * 1024;
/// Behind the last member there are zeros, no more than this.
const MAX_TRAILER_BYTES: u64 = 16 * 1024 * 1024;
/// The longest line in a list of parts: a number of 64 bits.
const MAX_LINE_BYTES: usize = 20;

/// The type of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::archive) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    /// A device or a pipe.
    Special,
}

/// A member, as its headers tell it.
#[derive(Debug)]
pub(in crate::archive) struct Member {
    pub(in crate::archive) kind: Kind,
    pub(in crate::archive) name: Vec<u8>,
    pub(in crate::archive) link: Vec<u8>,
    pub(in crate::archive) mode: Option<u32>,
    pub(in crate::archive) modified: Option<Timespec>,
    /// The size of a file when it is unpacked.
    pub(in crate::archive) size: u64,
    /// Where the data of a sparse file belongs.
    pub(in crate::archive) parts: Option<Vec<Part>>,
}

/// Reads an archive from its beginning to its end.
#[derive(Debug)]
pub(in crate::archive) struct Reader<R> {
    input: Input<R>,
    global: Global,
    /// How much of the content of the present member is still to be read.
    left: u64,
    /// What fills the last block of it.
    padding: usize,
    /// How much may still come before the next member.
    room: u64,
}

/// What the headers before a member say of it.
#[derive(Debug, Default)]
struct Told {
    local: Local,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    any: bool,
}

impl<R: Read> Reader<R> {
    pub(in crate::archive) fn new(reader: R) -> Self {
        Self {
            input: Input::new(reader),
            global: Global::default(),
            left: 0,
            padding: 0,
            room: 0,
        }
    }

    /// The next member, whose content is what [`Read`] gives then. What was left of the content
    /// of the one before must have been read. `None` at the end of the archive.
    pub(in crate::archive) fn next(&mut self) -> Result<Option<Member>> {
        self.skip_padding()?;
        self.room = MAX_HEADER_BYTES;
        let mut told = Told::default();
        loop {
            let Some(block) = self.block()? else {
                return Err(cut());
            };
            if is_end(&block) {
                if told.any {
                    return Err(Error::bad_archive("it ends behind an extended header"));
                }
                self.check_trailer()?;
                return Ok(None);
            }
            let header = Header::of(&block)
                .ok_or_else(|| Error::bad_archive("a header in it has another checksum"))?;
            match header.kind() {
                // Solaris called its own of before POSIX so.
                b'x' | b'X' => told.local.take(&self.extended(&header)?)?,
                b'g' => {
                    let data = self.extended(&header)?;
                    self.global.take(&data)?;
                    continue;
                }
                b'L' => told.long_name = Some(until_nul(self.extended(&header)?)),
                b'K' => told.long_link = Some(until_nul(self.extended(&header)?)),
                // The label of a volume is no file.
                b'V' => {
                    self.extended(&header)?;
                    told = Told::default();
                    continue;
                }
                _ => return self.member(&header, told).map(Some),
            }
            told.any = true;
        }
    }

    fn member(&mut self, header: &Header, told: Told) -> Result<Member> {
        let Told {
            local,
            long_name,
            long_link,
            ..
        } = told;
        let name = local.sparse.name.clone().or(local.path).or(long_name);
        let name = name.unwrap_or_else(|| header.name());
        refuse_foreign(header, &name)?;
        let link = local.link.or(long_link);
        let modified = header
            .modified()?
            .map(|tv_sec| Timespec { tv_sec, tv_nsec: 0 });
        let stored = local.size.map_or_else(|| header.size(), Ok)?;
        let kind = kind(header, &name);
        let mut member = Member {
            kind,
            link: link.unwrap_or_else(|| header.link().to_vec()),
            mode: header.mode()?,
            modified: local.modified.or(self.global.modified).or(modified),
            size: stored,
            parts: None,
            name,
        };
        self.lay_out(&mut member, header, local.sparse)?;
        let is_named_so = kind == Kind::Directory && !matches!(header.kind(), b'5' | b'D');
        if is_named_so && self.left > 0 {
            let why = "is named as a directory and has content";
            return Err(refused(&member.name, why));
        }
        Ok(member)
    }

    /// Begins with the content, and finds where it belongs in a sparse file.
    fn lay_out(&mut self, member: &mut Member, header: &Header, records: Records) -> Result<()> {
        let layout = records.layout()?;
        let is_old = header.kind() == b'S';
        let is_sparse = is_old || layout.is_some();
        if is_sparse && (member.kind != Kind::File || is_old && layout.is_some()) {
            return Err(refused(
                &member.name,
                "is sparse in a way that is not supported",
            ));
        }
        let old_parts = is_old.then(|| self.old_parts(header)).transpose()?;
        self.begin(member.size, member.kind, header.kind() == b'D')?;
        let (size, parts) = match (old_parts, layout) {
            (Some(parts), _) => (header.real_size()?, parts),
            (None, Some(Layout::Listed { size, parts })) => (size, parts),
            (None, Some(Layout::BeforeData { size })) => (size, self.list_before_data()?),
            (None, None) => return Ok(()),
        };
        sparse::check(&parts, size, self.left)?;
        member.size = size;
        member.parts = Some(parts);
        Ok(())
    }

    /// Begins with the content of a member. What is no file has none, whatever its size says,
    /// which was that of the file before it was linked, or of a directory's own table. Only where
    /// no header follows, it is passed over.
    fn begin(&mut self, stored: u64, kind: Kind, has_content: bool) -> Result<()> {
        self.left = stored;
        let bytes = usize::try_from(stored % BLOCK_BYTES as u64).unwrap_or(0);
        self.padding = (BLOCK_BYTES - bytes) % BLOCK_BYTES;
        if stored == 0 || kind == Kind::File || has_content {
            return Ok(());
        }
        let next = self.input.peek().map_err(not_whole)?;
        if next.is_none_or(|block| is_end(block) || Header::of(block).is_some()) {
            (self.left, self.padding) = (0, 0);
        }
        Ok(())
    }

    /// The next block; `None` at the end of the input.
    fn block(&mut self) -> Result<Option<Block>> {
        self.room = self
            .room
            .checked_sub(BLOCK_BYTES as u64)
            .ok_or_else(too_long)?;
        let mut block = [0; BLOCK_BYTES];
        match self.input.fill(&mut block).map_err(not_whole)? {
            BLOCK_BYTES => Ok(Some(block)),
            0 => Ok(None),
            _ => Err(cut()),
        }
    }

    /// The data behind an extended header.
    fn extended(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = header.size()?;
        // Before anything is taken for it.
        if size > self.room {
            return Err(too_long());
        }
        let size = usize::try_from(size).map_err(|_| too_long())?;
        let mut data = Vec::with_capacity(size);
        while data.len() < size {
            data.extend_from_slice(&self.block()?.ok_or_else(cut)?);
        }
        data.truncate(size);
        Ok(data)
    }

    /// The parts in the header, and in the blocks behind it.
    fn old_parts(&mut self, header: &Header) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        let (first, mut more) = header.parts();
        sparse::old_parts(&mut parts, first)?;
        // The parts have a limit of their own.
        self.room = u64::MAX;
        while more {
            let block = self.block()?.ok_or_else(cut)?;
            let before = parts.len();
            sparse::old_parts(&mut parts, &block[..504])?;
            more = block[504] != 0;
            if parts.len() == before && more {
                return Err(Error::bad_archive("it has an empty list of parts"));
            }
        }
        Ok(parts)
    }

    /// The parts in the list at the beginning of the content, which fills whole blocks.
    fn list_before_data(&mut self) -> Result<Vec<Part>> {
        let mut block = [0; BLOCK_BYTES];
        let mut at = BLOCK_BYTES;
        sparse::list_before_data(|| {
            let mut line = Vec::new();
            loop {
                if at == BLOCK_BYTES {
                    self.read_exact(&mut block).map_err(not_whole)?;
                    at = 0;
                }
                let byte = block[at];
                at += 1;
                if byte == b'\n' {
                    return Ok(line);
                }
                if line.len() >= MAX_LINE_BYTES {
                    return Err(Error::bad_archive("it has a list of parts that is damaged"));
                }
                line.push(byte);
            }
        })
    }

    fn skip_padding(&mut self) -> Result<()> {
        let mut padding = [0; BLOCK_BYTES];
        let padding = &mut padding[..std::mem::take(&mut self.padding)];
        if self.input.fill(padding).map_err(not_whole)? != padding.len() {
            return Err(cut());
        }
        Ok(())
    }

    /// Reads to the end of the input: only there a compressed stream says whether it is whole.
    fn check_trailer(&mut self) -> Result<()> {
        self.room = MAX_TRAILER_BYTES;
        let mut block = [0; BLOCK_BYTES];
        loop {
            let read = self.input.fill(&mut block).map_err(not_whole)?;
            if read < BLOCK_BYTES {
                return Ok(());
            }
            if !is_end(&block) && Header::of(&block).is_some() {
                return Err(Error::bad_archive(
                    "another archive follows behind its end, which is not supported",
                ));
            }
            self.room = self.room.checked_sub(read as u64).ok_or_else(too_long)?;
        }
    }
}

/// The content of the present member.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.input.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it ends in the middle",
            ));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

fn kind(header: &Header, name: &[u8]) -> Kind {
    match header.kind() {
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' | b'4' | b'6' => Kind::Special,
        // The content of GNU tar's own is a list of names, for those who restore increments.
        b'5' | b'D' => Kind::Directory,
        // Old archives mark directories by their name.
        b'0' | b'7' | 0 if name.ends_with(b"/") => Kind::Directory,
        // A type that is not known is a regular file, by the ustar format of POSIX.
        _ => Kind::File,
    }
}

/// Refuses what would come out as something else than it was.
fn refuse_foreign(header: &Header, name: &[u8]) -> Result<()> {
    let what = match header.kind() {
        b'A' => "an access control list of Solaris",
        b'E' => "an extended attribute of Solaris",
        b'I' => "an inode without content",
        b'M' => "the rest of a file from another volume",
        b'N' => "a list of long names of an old GNU tar",
        b'S' if !header.is_gnu() => "a sparse file of star",
        _ => return Ok(()),
    };
    Err(refused(name, &format!("is {what}, which is not supported")))
}

fn refused(name: &[u8], why: &str) -> Error {
    let name = shorten(OsStr::from_bytes(name));
    Error::bad_archive(format!("the entry {name:?} {why}"))
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|byte| *byte == 0);
    text.truncate(end.unwrap_or(text.len()));
    text
}

fn not_whole(error: io::Error) -> Error {
    damaged(Path::new("archive"), error)
}

fn cut() -> Error {
    Error::bad_archive("it ends in the middle")
}

fn too_long() -> Error {
    Error::bad_archive("its headers are too long")
}
