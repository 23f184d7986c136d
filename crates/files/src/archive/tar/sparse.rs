//! Where the data of a sparse file belongs, in the four ways in which GNU tar has said it.
//!
//! The old one is in the header and in blocks behind it. Three are in pax records: 0.0 has a
//! record for each number, 0.1 one list, and 1.0 has its list before the data itself.

use super::header::length;
use crate::{Error, Result};

/// A list that is longer is refused; each part takes 16 bytes.
const MAX_PARTS: usize = 1 << 20;
/// In the old way a part has two numbers of 12 bytes.
const OLD_PART_BYTES: usize = 24;

/// Data of a sparse file. Between the parts there are holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::archive) struct Part {
    pub(in crate::archive) offset: u64,
    pub(in crate::archive) bytes: u64,
}

/// What the records of one member say of its parts.
#[derive(Debug, Default)]
pub(super) struct Records {
    major: Option<u64>,
    minor: Option<u64>,
    blocks: Option<u64>,
    size: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// The offset whose length has not come yet.
    offset: Option<u64>,
    parts: Vec<Part>,
    /// Whether there is a list, which may be an empty one.
    listed: bool,
    any: bool,
}

/// Where the list of the parts is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Listed { size: u64, parts: Vec<Part> },
    BeforeData { size: u64 },
}

impl Records {
    /// Takes a record whose key is `GNU.sparse.` and `key`.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.any = true;
        match key {
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"numblocks" => self.blocks = Some(decimal(value)?),
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"name" => self.name = Some(value.to_vec()),
            b"map" => self.list(value)?,
            b"offset" if self.offset.is_none() && !self.listed => {
                self.offset = Some(decimal(value)?);
            }
            b"numbytes" => {
                let offset = self.offset.take().ok_or_else(misfit)?;
                push(&mut self.parts, offset, decimal(value)?)?;
            }
            _ => return Err(misfit()),
        }
        Ok(())
    }

    fn list(&mut self, value: &[u8]) -> Result<()> {
        if self.listed || !self.parts.is_empty() {
            return Err(misfit());
        }
        self.listed = true;
        if value.is_empty() {
            return Ok(());
        }
        let mut numbers = value.split(|byte| *byte == b',');
        while let Some(offset) = numbers.next() {
            let bytes = numbers.next().ok_or_else(misfit)?;
            push(&mut self.parts, decimal(offset)?, decimal(bytes)?)?;
        }
        Ok(())
    }

    /// What they say together; `None` where they say nothing.
    pub(super) fn layout(self) -> Result<Option<Layout>> {
        if !self.any {
            return Ok(None);
        }
        let size = self.size.ok_or_else(misfit)?;
        match (self.major.unwrap_or(0), self.minor.unwrap_or(0)) {
            (1, 0) if self.major.is_some() && !self.listed && self.parts.is_empty() => {
                Ok(Some(Layout::BeforeData { size }))
            }
            (0, 0 | 1) => {
                let told = self
                    .blocks
                    .is_none_or(|told| told == self.parts.len() as u64);
                let there = self.listed || !self.parts.is_empty() || self.blocks == Some(0);
                if !told || !there || self.offset.is_some() {
                    return Err(misfit());
                }
                let parts = self.parts;
                Ok(Some(Layout::Listed { size, parts }))
            }
            (major, minor) => Err(Error::bad_archive(format!(
                "it has a sparse file in version {major}.{minor} of the format, which is not \
                 supported"
            ))),
        }
    }
}

/// Reads parts in the old way, up to the first that is blank.
pub(super) fn old_parts(parts: &mut Vec<Part>, block: &[u8]) -> Result<()> {
    for part in block.chunks_exact(OLD_PART_BYTES) {
        let (offset, bytes) = part.split_at(OLD_PART_BYTES / 2);
        if part.iter().all(|byte| *byte == 0) {
            break;
        }
        let numbers = length(offset).zip(length(bytes)).ok_or_else(misfit)?;
        push(parts, numbers.0, numbers.1)?;
    }
    Ok(())
}

/// Reads the list that stands before the data. `line` gives the next of its lines.
pub(super) fn list_before_data(mut line: impl FnMut() -> Result<Vec<u8>>) -> Result<Vec<Part>> {
    let count = decimal(&line()?)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let offset = decimal(&line()?)?;
        push(&mut parts, offset, decimal(&line()?)?)?;
    }
    Ok(parts)
}

/// Refuses a list that does not fit the file, or the bytes that are stored of it.
pub(super) fn check(parts: &[Part], size: u64, stored: u64) -> Result<()> {
    let (mut end, mut sum) = (0, 0u64);
    for part in parts {
        let next = part.offset.checked_add(part.bytes).ok_or_else(misfit)?;
        if part.offset < end || next > size {
            return Err(misfit());
        }
        end = next;
        // No more than `size`, as no two overlap.
        sum += part.bytes;
    }
    if sum != stored {
        return Err(misfit());
    }
    Ok(())
}

fn push(parts: &mut Vec<Part>, offset: u64, bytes: u64) -> Result<()> {
    if parts.len() >= MAX_PARTS {
        return Err(Error::ArchiveTooLarge {
            reason: format!("it has a sparse file of more than {MAX_PARTS} parts"),
        });
    }
    parts.push(Part { offset, bytes });
    Ok(())
}

/// A decimal number without anything about it.
pub(super) fn decimal(text: &[u8]) -> Result<u64> {
    let number = text
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| std::str::from_utf8(text).ok()?.parse().ok())
        .flatten();
    number.ok_or_else(|| Error::bad_archive("an extended header in it has no valid number"))
}

fn misfit() -> Error {
    Error::bad_archive("it has a sparse file whose list of parts does not fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(records: &[(&str, &str)]) -> Result<Option<Layout>> {
        let mut taken = Records::default();
        for (key, value) in records {
            taken.take(key.as_bytes(), value.as_bytes())?;
        }
        taken.layout()
    }

    #[test]
    fn records_say_where_the_data_belongs() {
        let two = vec![
            Part {
                offset: 0,
                bytes: 5,
            },
            Part {
                offset: 9,
                bytes: 1,
            },
        ];
        let listed = |parts| Some(Layout::Listed { size: 10, parts });
        for (records, expected) in [
            (&[][..], None),
            (
                &[
                    ("size", "10"),
                    ("numblocks", "2"),
                    ("offset", "0"),
                    ("numbytes", "5"),
                    ("offset", "9"),
                    ("numbytes", "1"),
                ],
                listed(two.clone()),
            ),
            (
                &[("size", "10"), ("map", "0,5,9,1"), ("numblocks", "2")],
                listed(two),
            ),
            (&[("size", "10"), ("numblocks", "0")], listed(Vec::new())),
            (&[("size", "10"), ("map", "")], listed(Vec::new())),
            (
                &[("major", "1"), ("minor", "0"), ("realsize", "10")],
                Some(Layout::BeforeData { size: 10 }),
            ),
        ] {
            assert_eq!(layout(records).unwrap(), expected, "{records:?}");
        }
    }

    #[test]
    fn records_that_do_not_fit_are_refused() {
        for records in [
            &[("size", "1")][..],
            &[("numblocks", "1")],
            &[("major", "1")],
            &[("map", "0,1")],
            &[("name", "x")],
            &[("size", "9"), ("map", "0,1"), ("numblocks", "2")],
            &[("size", "9"), ("map", "0,1,5")],
            &[("size", "9"), ("map", "0,x")],
            &[("size", "9"), ("map", "0,1"), ("map", "0,1")],
            &[
                ("size", "9"),
                ("map", "0,1"),
                ("offset", "5"),
                ("numbytes", "1"),
            ],
            &[("size", "9"), ("numbytes", "1")],
            &[("size", "9"), ("offset", "1")],
            &[("size", "9"), ("offset", "1"), ("offset", "1")],
            &[("size", "+9"), ("map", "0,1")],
            &[("size", "9"), ("major", "2"), ("minor", "0")],
            &[("size", "9"), ("major", "1"), ("minor", "1")],
            &[("size", "9"), ("major", "1"), ("map", "0,1")],
            &[("size", "9"), ("map", "0,1"), ("other", "1")],
        ] {
            assert!(layout(records).is_err(), "{records:?}");
        }
    }

    #[test]
    fn parts_lie_in_the_file_one_behind_the_other() {
        let parts = |list: &[(u64, u64)]| -> Vec<Part> {
            let parts = list.iter();
            parts
                .map(|&(offset, bytes)| Part { offset, bytes })
                .collect()
        };
        assert!(check(&parts(&[]), 10, 0).is_ok());
        assert!(check(&parts(&[(0, 5), (5, 5), (10, 0)]), 10, 10).is_ok());
        for (list, stored) in [
            (&[(0, 5), (4, 1)][..], 6),
            (&[(5, 1), (0, 1)], 2),
            (&[(9, 2)], 2),
            (&[(0, 5)], 4),
            (&[(0, 5)], 6),
            (&[(u64::MAX, 2)], 2),
        ] {
            assert!(check(&parts(list), 10, stored).is_err(), "{list:?}");
        }
    }
}
