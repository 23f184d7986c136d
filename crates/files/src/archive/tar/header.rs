//! The header of a member: a block of 512 bytes, with fields of text and numbers.

use crate::{Error, Result};

/// Everything in a tar archive is a multiple of this.
pub(super) const BLOCK_BYTES: usize = 512;

/// A block of an archive.
pub(super) type Block = [u8; BLOCK_BYTES];

/// A header whose checksum is right.
#[derive(Debug, Clone)]
pub(super) struct Header(Block);

/// Where a field lies.
type Field = std::ops::Range<usize>;

const NAME: Field = 0..100;
const MODE: Field = 100..108;
const SIZE: Field = 124..136;
const MODIFIED: Field = 136..148;
const CHECKSUM: Field = 148..156;
const KIND: usize = 156;
const LINK: Field = 157..257;
const MAGIC: Field = 257..263;
const PREFIX: Field = 345..500;
/// The prefix of star ends before its times; its mark is at the end of the block.
const STAR_PREFIX: Field = 345..476;
const STAR_MARK: Field = 508..512;
const GNU_PARTS: Field = 386..482;
const GNU_MORE: usize = 482;
const GNU_REAL_SIZE: Field = 483..495;

impl Header {
    /// Takes a block for a header if its checksum says so.
    pub(super) fn of(block: &Block) -> Option<Self> {
        let told = number(&block[CHECKSUM]).ok()??;
        let unsigned: i64 = summed(block, i64::from);
        // Old writers took the bytes for signed ones, and what became negative for 18 bits.
        let signed: i64 = summed(block, |byte| byte.cast_signed().into());
        let is_right = told == unsigned || told == signed || told == signed & 0o777_777;
        is_right.then_some(Self(*block))
    }

    /// The type of the member.
    pub(super) fn kind(&self) -> u8 {
        self.0[KIND]
    }

    /// Whether the fields behind the link are those of GNU tar.
    pub(super) fn is_gnu(&self) -> bool {
        &self.0[MAGIC] == b"ustar "
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[NAME]);
        let prefix = match &self.0[MAGIC] {
            b"ustar\0" if &self.0[STAR_MARK] == b"tar\0" => text(&self.0[STAR_PREFIX]),
            b"ustar\0" => text(&self.0[PREFIX]),
            _ => b"",
        };
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    pub(super) fn link(&self) -> &[u8] {
        text(&self.0[LINK])
    }

    pub(super) fn mode(&self) -> Result<Option<u32>> {
        let mode = number(&self.0[MODE]).map_err(|()| wrong("mode"))?;
        // What is above the permissions says again what the type does.
        Ok(mode.and_then(|mode| u32::try_from(mode & 0o7777).ok()))
    }

    /// How many bytes follow. A blank field, as labels of volumes have, is none.
    pub(super) fn size(&self) -> Result<u64> {
        length(&self.0[SIZE]).ok_or_else(|| wrong("size"))
    }

    /// Seconds from 1970 on, or before it.
    pub(super) fn modified(&self) -> Result<Option<i64>> {
        number(&self.0[MODIFIED]).map_err(|()| wrong("time"))
    }

    /// The first parts of a sparse file, as GNU tar writes them, and whether more follow.
    pub(super) fn parts(&self) -> (&[u8], bool) {
        (&self.0[GNU_PARTS], self.0[GNU_MORE] != 0)
    }

    /// The size that a sparse file has when it is unpacked.
    pub(super) fn real_size(&self) -> Result<u64> {
        length(&self.0[GNU_REAL_SIZE]).ok_or_else(|| wrong("size"))
    }
}

/// Whether a block says that the archive ends.
pub(super) fn is_end(block: &Block) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// The number in a field, where it is a length or a place.
pub(super) fn length(field: &[u8]) -> Option<u64> {
    match number(field) {
        Ok(number) => u64::try_from(number.unwrap_or(0)).ok(),
        Err(()) => None,
    }
}

/// The number in a field; `None` in one that is blank. It is octal, or, if its first bit is set,
/// binary in two's complement, as GNU tar and star write what octal digits do not hold.
fn number(field: &[u8]) -> std::result::Result<Option<i64>, ()> {
    let Some((first, rest)) = field.split_first() else {
        return Ok(None);
    };
    if first & 0x80 != 0 {
        // The bit behind the first is the sign.
        let start = i64::from(first & 0x3f) - i64::from(first & 0x40);
        let number = rest.iter().try_fold(start, |number, byte| {
            number.checked_mul(256)?.checked_add(i64::from(*byte))
        });
        return number.map(Some).ok_or(());
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_blank(byte));
    let Some(start) = start else {
        return Ok(None);
    };
    let digits = field[start..].split(is_blank).next().unwrap_or(field);
    let number = digits.iter().try_fold(0i64, |number, byte| {
        let digit = matches!(byte, b'0'..=b'7').then(|| i64::from(byte - b'0'))?;
        number.checked_mul(8)?.checked_add(digit)
    });
    number.map(Some).ok_or(())
}

/// A text ends at its first NUL, or with its field.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or(field)
}

/// The sum of a header's bytes, in which the checksum itself is spaces.
fn summed(block: &Block, value: impl Fn(u8) -> i64) -> i64 {
    let bytes = block.iter().enumerate();
    bytes
        .map(|(at, byte)| value(if CHECKSUM.contains(&at) { b' ' } else { *byte }))
        .sum()
}

fn wrong(what: &str) -> Error {
    Error::bad_archive(format!("a header in it has no valid {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_all_forms() {
        for (field, expected) in [
            (&b"0000644\0"[..], Ok(Some(0o644))),
            (b"   644 \0", Ok(Some(0o644))),
            (b"77777777", Ok(Some(0o77_777_777))),
            (b"644 junk", Ok(Some(0o644))),
            (b"\0\0\0\0\0\0\0\0", Ok(None)),
            (b"        ", Ok(None)),
            (b"0000648\0", Err(())),
            (b"-000001\0", Err(())),
            (b"\x80\0\0\0\0\0\x01\0", Ok(Some(256))),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Ok(Some(-1))),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
                Ok(Some(-2)),
            ),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Ok(Some(i64::MAX)),
            ),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", Err(())),
            (b"777777777777777777777777", Err(())),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
        assert_eq!(length(b"\xff\xff\xff\xff"), None);
        assert_eq!(length(b"    "), Some(0));
    }

    #[test]
    fn a_checksum_may_be_of_signed_bytes() {
        let mut block = [0; BLOCK_BYTES];
        block[..5].copy_from_slice(b"caf\xe9s");
        for sum in [
            summed(&block, i64::from),
            summed(&block, |byte| byte.cast_signed().into()),
        ] {
            let digits = format!("{sum:06o}\0 ");
            block[CHECKSUM].copy_from_slice(digits.as_bytes());
            assert_eq!(Header::of(&block).unwrap().name(), b"caf\xe9s");
        }
        block[0] = b'b';
        assert!(Header::of(&block).is_none());
        // So many large bytes that the sum is below zero.
        let mut block = [0xff; BLOCK_BYTES];
        let sum = summed(&block, |byte| byte.cast_signed().into()) & 0o777_777;
        block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(Header::of(&block).is_some());
        assert!(Header::of(&[0; BLOCK_BYTES]).is_none());
    }

    #[test]
    fn a_prefix_belongs_to_ustar_and_star() {
        let mut block = [0; BLOCK_BYTES];
        block[..4].copy_from_slice(b"name");
        block[345..350].copy_from_slice(b"front");
        block[476] = b'1';
        let name = |block: &Block| Header(*block).name();
        assert_eq!(name(&block), b"name");
        block[MAGIC].copy_from_slice(b"ustar ");
        assert_eq!(name(&block), b"name");
        block[MAGIC].copy_from_slice(b"ustar\0");
        assert_eq!(name(&block), b"front/name");
        block[350..476].fill(b'x');
        block[STAR_MARK].copy_from_slice(b"tar\0");
        assert_eq!(name(&block).len(), 131 + 5);
    }
}
