//! The records of extended headers, as POSIX.1-2001 has them: a length, a key and a value, of
//! any bytes.

use rustix::fs::Timespec;

use super::sparse::{Records, decimal};
use crate::{Error, Result, path::shorten};

const SPARSE: &[u8] = b"GNU.sparse.";
/// Rests of files in pax archives of several volumes.
const VOLUME: [&[u8]; 3] = [
    b"GNU.volume.filename",
    b"GNU.volume.offset",
    b"GNU.volume.size",
];

/// What extended headers say of the one member behind them.
#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<Timespec>,
    pub(super) sparse: Records,
}

/// What they say of all members from here on.
#[derive(Debug, Default)]
pub(super) struct Global {
    pub(super) modified: Option<Timespec>,
}

impl Local {
    /// Takes the records of a header. Of records with one key the last counts; one without a
    /// value takes back what was said.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<()> {
        for record in records(data) {
            let (key, value) = record?;
            let given = (!value.is_empty()).then_some(value);
            match key {
                b"path" => self.path = given.map(<[u8]>::to_vec),
                b"linkpath" => self.link = given.map(<[u8]>::to_vec),
                b"size" => self.size = given.map(decimal).transpose()?,
                b"mtime" => self.modified = given.map(time).transpose()?,
                _ if is_foreign(key) => return Err(foreign(key)),
                _ => {
                    if let Some(key) = key.strip_prefix(SPARSE) {
                        self.sparse.take(key, value)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Global {
    /// Takes the records of a header, and refuses what can be said of one member only.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<()> {
        for record in records(data) {
            let (key, value) = record?;
            let is_of_one = matches!(key, b"path" | b"linkpath" | b"size");
            if is_of_one || key.starts_with(SPARSE) {
                let key = shown(key);
                return Err(Error::bad_archive(format!(
                    "{key:?} is said of all of its files, which can be said of one only"
                )));
            }
            if is_foreign(key) {
                return Err(foreign(key));
            }
            if key == b"mtime" {
                self.modified = (!value.is_empty()).then(|| time(value)).transpose()?;
            }
        }
        Ok(())
    }
}

/// Whether a record says that the content is not what follows.
fn is_foreign(key: &[u8]) -> bool {
    VOLUME.contains(&key) || key == b"SCHILY.realsize"
}

fn foreign(key: &[u8]) -> Error {
    let what = if VOLUME.contains(&key) {
        "the rest of a file from another volume"
    } else {
        "a sparse file of star"
    };
    let key = shown(key);
    Error::bad_archive(format!("it has {what} ({key}), which is not supported"))
}

fn shown(key: &[u8]) -> String {
    shorten(std::os::unix::ffi::OsStrExt::from_bytes(key))
}

/// The records one by one; nothing comes after one that is not whole.
fn records(mut left: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8])>> {
    std::iter::from_fn(move || {
        // Some writers fill the block with zeros, and count them.
        if left.iter().all(|byte| *byte == 0) {
            return None;
        }
        let split = record(left);
        left = split.map_or(&[], |(_, _, rest)| rest);
        Some(split.map(|(key, value, _)| (key, value)).ok_or_else(|| {
            Error::bad_archive("it has an extended header with a record that is damaged")
        }))
    })
}

/// The key and the value of the first record, and what is behind it.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&data[..space]).ok()?).ok()?;
    let (record, rest) = data.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = record.split_at(equals);
    (!key.is_empty()).then_some((key, &value[1..], rest))
}

/// A time: seconds, with a fraction or without.
fn time(text: &[u8]) -> Result<Timespec> {
    parse_time(text).ok_or_else(|| Error::bad_archive("an extended header in it has no valid time"))
}

fn parse_time(text: &[u8]) -> Option<Timespec> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let tv_sec: i64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: i64 = digits.parse().ok()?;
    if seconds.starts_with('-') && nanoseconds > 0 {
        return Some(Timespec {
            tv_sec: tv_sec.checked_sub(1)?,
            tv_nsec: 1_000_000_000 - nanoseconds,
        });
    }
    Some(Timespec {
        tv_sec,
        tv_nsec: nanoseconds,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes a record, for reading it back.
    fn written(key: &[u8], value: &[u8]) -> Vec<u8> {
        let rest = key.len() + value.len() + 3;
        let length = (rest..rest + 9).find(|it| rest + it.to_string().len() == *it);
        let length = length.unwrap().to_string();
        [length.as_bytes(), b" ", key, b"=", value, b"\n"].concat()
    }

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("12", Some((12, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.1234567899", Some((12, 123_456_789))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-0.5", Some((-1, 500_000_000))),
            ("-3", Some((-3, 0))),
            ("", None),
            ("x", None),
            ("1.x", None),
        ] {
            let read = parse_time(text.as_bytes()).map(|time| (time.tv_sec, time.tv_nsec));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn damaged_records_are_refused() {
        for data in [
            &b"12 path=good"[..],
            b"11 path=good\n",
            b"14 path=good\n",
            b"x path=good\n",
            b"+12 path=good\n",
            b"6 key\n",
            b"5 =v\n",
            b"2 \n",
            b"0 \n",
            b"99999999999999999999999 a=b\n",
            b"no record",
        ] {
            assert!(Local::default().take(data).is_err(), "{data:?}");
            assert!(Global::default().take(data).is_err(), "{data:?}");
        }
    }

    #[test]
    fn the_last_record_counts_and_an_empty_one_takes_back() {
        let mut local = Local::default();
        local.take(b"12 path=one\n").unwrap();
        local.take(b"12 path=two\n8 size=\n\0\0\0").unwrap();
        assert_eq!(local.path.as_deref(), Some(&b"two"[..]));
        local.take(b"8 path=\n").unwrap();
        assert_eq!(local.path, None);
    }

    #[test]
    fn what_belongs_to_one_member_is_not_said_of_all() {
        for key in [
            "path",
            "linkpath",
            "size",
            "GNU.sparse.map",
            "GNU.volume.offset",
        ] {
            let record = written(key.as_bytes(), b"1");
            let refused = Global::default().take(&record).unwrap_err().to_string();
            assert!(refused.contains(key), "{refused}");
        }
        let mut global = Global::default();
        global.take(&written(b"comment", b"of git")).unwrap();
        global.take(&written(b"mtime", b"5")).unwrap();
        assert_eq!(global.modified.unwrap().tv_sec, 5);
    }

    proptest! {
        #[test]
        fn a_value_may_have_any_bytes(
            before in prop::collection::vec(any::<u8>(), 0..200),
            path in prop::collection::vec(any::<u8>(), 1..200),
        ) {
            let data = [written(b"SCHILY.xattr.user.x", &before), written(b"path", &path)];
            let mut local = Local::default();
            local.take(&data.concat()).unwrap();
            prop_assert_eq!(local.path, Some(path));
        }
    }
}
