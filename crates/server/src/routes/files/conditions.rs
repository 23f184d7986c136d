//! Conditional requests and ranges (RFC 9110, sections 13 and 14).

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use browserd_files::Precondition;
use http::{HeaderMap, HeaderName, header};

use crate::error::ApiError;

/// What a client may compare a file with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validators<'a> {
    /// Strong, with its quotes.
    pub(super) etag: &'a str,
    pub(super) modified: SystemTime,
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as without conditions.
    Proceed,
    /// 304: the client has it already.
    NotModified,
    /// 412, because of this header.
    Failed(&'static str),
}

/// What part of a file is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it.
    Whole,
    /// These bytes, which the file has.
    Part(Range<u64>),
    /// 416: bytes that the file does not have.
    Outside,
}

impl Validators<'_> {
    /// Weighs the conditions in the order of section 13.2.2.
    pub(super) fn weigh(&self, headers: &HeaderMap) -> Verdict {
        if let Some(tags) = text(headers, &header::IF_MATCH) {
            if !self.has_one_of(&tags, Comparison::Strong) {
                return Verdict::Failed("If-Match");
            }
        } else if let Some(since) = date(headers, &header::IF_UNMODIFIED_SINCE)
            && self.seconds() > since
        {
            return Verdict::Failed("If-Unmodified-Since");
        }
        if let Some(tags) = text(headers, &header::IF_NONE_MATCH) {
            if self.has_one_of(&tags, Comparison::Weak) {
                return Verdict::NotModified;
            }
        } else if let Some(since) = date(headers, &header::IF_MODIFIED_SINCE)
            && self.seconds() <= since
        {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }

    /// The range that is asked for, where there is one and it still holds. Several ranges, and
    /// one that cannot be read, are answered with all of it, as section 14.2 allows.
    pub(super) fn asked(&self, headers: &HeaderMap, size: u64) -> Asked {
        let Some(ranges) = text(headers, &header::RANGE) else {
            return Asked::Whole;
        };
        if let Some(only_if) = text(headers, &header::IF_RANGE)
            && !self.still_holds(&only_if)
        {
            return Asked::Whole;
        }
        parse_range(&ranges, size)
    }

    fn still_holds(&self, only_if: &str) -> bool {
        match httpdate::parse_http_date(only_if) {
            Ok(date) => self.seconds() == date,
            Err(_) => only_if == self.etag,
        }
    }

    fn has_one_of(&self, tags: &str, comparison: Comparison) -> bool {
        if tags == "*" {
            return true;
        }
        split_tags(tags).any(|tag| match (tag.strip_prefix("W/"), comparison) {
            (None, _) => tag == self.etag,
            (Some(weak), Comparison::Weak) => weak == self.etag,
            (Some(_), Comparison::Strong) => false,
        })
    }

    /// Header dates have no fractions of a second.
    fn seconds(&self) -> SystemTime {
        let since = self.modified.duration_since(SystemTime::UNIX_EPOCH);
        SystemTime::UNIX_EPOCH + Duration::from_secs(since.unwrap_or_default().as_secs())
    }
}

/// What must be true of a file before it is written.
pub(super) fn precondition(headers: &HeaderMap) -> Result<Precondition, ApiError> {
    if headers.contains_key(header::IF_UNMODIFIED_SINCE) {
        let message = "If-Unmodified-Since: not for writing; If-Match is exact";
        return Err(ApiError::bad_request(message));
    }
    let absent = match text(headers, &header::IF_NONE_MATCH).as_deref() {
        None => false,
        Some("*") => true,
        Some(_) => {
            let message = "If-None-Match: only * is taken for writing";
            return Err(ApiError::bad_request(message));
        }
    };
    match (text(headers, &header::IF_MATCH).as_deref(), absent) {
        (None, false) => Ok(Precondition::None),
        (None, true) => Ok(Precondition::Absent),
        (Some(_), true) => {
            let message = "If-Match: not together with If-None-Match";
            Err(ApiError::bad_request(message))
        }
        (Some("*"), false) => Ok(Precondition::Present),
        (Some(tags), false) => {
            let tags = split_tags(tags).map(str::to_owned).collect();
            Ok(Precondition::Matches(tags))
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Strong,
    Weak,
}

/// A header's value; several lines of it are one list.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
    Some(lines.join(", ").trim().to_owned())
}

/// A date that cannot be read is ignored, as section 13.1.3 says.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(&text(headers, name)?).ok()
}

/// Entity tags may hold commas between their quotes.
fn split_tags(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    list.split(move |character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    })
    .map(str::trim)
    .filter(|tag| !tag.is_empty())
}

fn parse_range(header: &str, size: u64) -> Asked {
    let part = |range: &str| -> Option<Asked> {
        let (from, to) = range.trim().split_once('-')?;
        if from.is_empty() {
            let last = number(to)?;
            return Some(if last == 0 || size == 0 {
                Asked::Outside
            } else {
                Asked::Part(size.saturating_sub(last)..size)
            });
        }
        let from = number(from)?;
        let to = if to.is_empty() { u64::MAX } else { number(to)? };
        if to < from {
            return None;
        }
        Some(if from >= size {
            Asked::Outside
        } else {
            Asked::Part(from..to.saturating_add(1).min(size))
        })
    };
    let unit = header.split_once('=');
    let ranges = unit.filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    match ranges {
        Some((_, range)) if !range.contains(',') => part(range).unwrap_or(Asked::Whole),
        _ => Asked::Whole,
    }
}

/// Digits alone. More than 64 bits hold is past the end of any file.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
