//! Cutting a stream of bytes into lines, each with the place behind it.

use std::collections::VecDeque;

use bytes::Bytes;
use memchr::memchr;

use crate::Line;

/// Bytes that are read and not yet yielded. All complete lines must be taken before more is
/// pushed, so that no more than one line and one chunk are held.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// What is before this was yielded.
    start: usize,
    /// There is no newline between `start` and this.
    scanned: usize,
    /// Where `buffer` came from, in order: a line may begin in one file and end in the next.
    sources: VecDeque<Source>,
    max: usize,
}

/// [`Line::inode`] and [`Line::born_ns`].
type FileKey = (u64, Option<u64>);

/// Where a stretch of the buffer came from.
#[derive(Debug)]
struct Source {
    /// The stretch ends before this, in the buffer.
    end: usize,
    file: FileKey,
    /// The offset in the file right behind the stretch.
    end_offset: u64,
}

impl Lines {
    pub(crate) fn new(max_line_bytes: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            sources: VecDeque::new(),
            max: max_line_bytes.max(1),
        }
    }

    /// Append what was read from `file` up to `end_offset`.
    pub(crate) fn push(&mut self, data: &[u8], file: FileKey, end_offset: u64) {
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        while self
            .sources
            .front()
            .is_some_and(|source| source.end <= self.start)
        {
            self.sources.pop_front();
        }
        for source in &mut self.sources {
            source.end -= self.start;
        }
        self.start = 0;
        // A long line must not leave its buffer behind for ever.
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * data.len() {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(data);
        let end = self.buffer.len();
        match self.sources.back_mut() {
            Some(last)
                if last.file == file && last.end_offset + data.len() as u64 == end_offset =>
            {
                last.end = end;
                last.end_offset = end_offset;
            }
            _ => self.sources.push_back(Source {
                end,
                file,
                end_offset,
            }),
        }
    }

    /// The next complete line, or the next piece of one that is too long.
    pub(crate) fn pop(&mut self) -> Option<Line> {
        let newline = memchr(b'\n', &self.buffer[self.scanned..]).map(|at| self.scanned + at);
        let end = newline.unwrap_or(self.buffer.len());
        if end - self.start > self.max {
            let piece = whole_characters(&self.buffer[self.start..], self.max);
            return Some(self.take(self.start + piece, 0, true));
        }
        self.scanned = end;
        newline?;
        Some(self.take(end, 1, false))
    }

    /// What is left of a line without its newline.
    pub(crate) fn flush(&mut self) -> Option<Line> {
        (self.start < self.buffer.len()).then(|| self.take(self.buffer.len(), 0, false))
    }

    fn take(&mut self, end: usize, newline: usize, continued: bool) -> Line {
        let bytes = Bytes::copy_from_slice(&self.buffer[self.start..end]);
        self.start = end + newline;
        self.scanned = self.start;
        let ((inode, born_ns), offset) = self
            .sources
            .iter()
            .find(|source| source.end >= self.start)
            .map_or(((0, None), 0), |source| {
                let behind = (source.end - self.start) as u64;
                (source.file, source.end_offset - behind)
            });
        Line {
            bytes,
            inode,
            born_ns,
            offset,
            continued,
        }
    }
}

/// The longest prefix of at most `max` bytes that does not cut a UTF-8 character in two; `max`
/// itself if that leaves nothing or the bytes are no UTF-8.
fn whole_characters(bytes: &[u8], max: usize) -> usize {
    (max.saturating_sub(3)..=max)
        .rev()
        .find(|&at| at > 0 && bytes.get(at).is_none_or(|byte| byte & 0xC0 != 0x80))
        .unwrap_or(max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_as_long_as_the_limit_is_not_split() {
        let mut lines = Lines::new(4);
        lines.push(b"abcd\nabcde\n", (7, None), 11);
        let first = lines.pop().unwrap();
        assert_eq!(
            (&first.bytes[..], first.offset, first.continued),
            (&b"abcd"[..], 5, false)
        );
        let second = lines.pop().unwrap();
        assert_eq!(
            (&second.bytes[..], second.offset, second.continued),
            (&b"abcd"[..], 9, true)
        );
        let third = lines.pop().unwrap();
        assert_eq!(
            (&third.bytes[..], third.offset, third.continued),
            (&b"e"[..], 11, false)
        );
        assert_eq!(lines.pop(), None);
        assert_eq!(lines.flush(), None);
    }

    #[test]
    fn a_split_does_not_cut_a_character() {
        let mut lines = Lines::new(4);
        lines.push("abcäö\n".as_bytes(), (7, None), 8);
        assert_eq!(lines.pop().unwrap().bytes, "abc");
        assert_eq!(lines.pop().unwrap().bytes, "äö");
    }

    #[test]
    fn a_piece_of_a_line_that_goes_on_in_the_next_file_ends_where_it_ends() {
        let mut lines = Lines::new(4);
        // The next file begins in the middle of a character.
        lines.push(
            "xxxx\nabc\u{e4}".as_bytes().split_last().unwrap().1,
            (1, None),
            9,
        );
        assert_eq!(lines.pop().unwrap().bytes, "xxxx");
        assert_eq!(lines.pop(), None);
        lines.push(&"\u{e4}\n".as_bytes()[1..], (2, Some(5)), 2);
        let piece = lines.pop().unwrap();
        assert_eq!(
            (&piece.bytes[..], piece.inode, piece.offset, piece.continued),
            (&b"abc"[..], 1, 8, true)
        );
        let rest = lines.pop().unwrap();
        assert_eq!(
            (&rest.bytes[..], rest.inode, rest.offset, rest.continued),
            ("\u{e4}".as_bytes(), 2, 2, false)
        );
    }

    proptest! {
        /// However the bytes arrive, the lines joined are the bytes, and each offset is the
        /// number of bytes up to there.
        #[test]
        fn lines_are_the_bytes(
            text in proptest::collection::vec(
                prop_oneof![4 => Just(b'a'), 1 => Just(b'\n'), 1 => any::<u8>()], 0..200),
            cuts in proptest::collection::vec(1_usize..20, 1..20),
            max in 1_usize..12,
        ) {
            let mut lines = Lines::new(max);
            let mut seen = Vec::new();
            let mut rest = &text[..];
            let mut read = 0;
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, behind) = rest.split_at((*cut).min(rest.len()));
                read += chunk.len() as u64;
                rest = behind;
                lines.push(chunk, (1, None), read);
                while let Some(line) = lines.pop() {
                    prop_assert!(line.bytes.len() <= max);
                    prop_assert!(!line.bytes.is_empty() || !line.continued);
                    seen.extend_from_slice(&line.bytes);
                    if !line.continued { seen.push(b'\n'); }
                    prop_assert_eq!(line.offset, seen.len() as u64);
                }
            }
            if let Some(line) = lines.flush() {
                seen.extend_from_slice(&line.bytes);
                prop_assert_eq!(line.offset, text.len() as u64);
            }
            prop_assert_eq!(seen, text);
        }
    }
}
