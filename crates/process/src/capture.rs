//! The first and the last bytes of a stream, for a command that is run to its end.

use std::collections::VecDeque;

/// Keeps at most a given number of bytes: the first half of them, and the last.
#[derive(Debug)]
pub(crate) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    limit: usize,
    total: u64,
}

/// What one stream gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    /// All of it, or its first and its last bytes.
    pub bytes: Vec<u8>,
    /// Bytes between the first and the last are missing.
    pub truncated: bool,
    /// How many bytes the stream had.
    pub total_bytes: u64,
}

impl Capture {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            limit,
            total: 0,
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let head_limit = self.limit.div_ceil(2);
        let (first, rest) = bytes.split_at(bytes.len().min(head_limit - self.head.len()));
        self.head.extend_from_slice(first);

        let tail_limit = self.limit / 2;
        let rest = &rest[rest.len().saturating_sub(tail_limit)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(tail_limit);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    pub(crate) fn finish(self) -> Captured {
        let mut bytes = self.head;
        let (first, second) = self.tail.as_slices();
        bytes.reserve_exact(first.len() + second.len());
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(second);
        let truncated = self.total > bytes.len() as u64;
        Captured {
            bytes,
            truncated,
            total_bytes: self.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keeps_the_ends(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            limit in 0_usize..200,
        ) {
            let mut capture = Capture::new(limit);
            for piece in &pieces {
                capture.append(piece);
            }
            let all = pieces.concat();
            let got = capture.finish();
            prop_assert_eq!(got.total_bytes, all.len() as u64);
            prop_assert_eq!(got.truncated, all.len() > limit);
            if got.truncated {
                let (head, tail) = (limit.div_ceil(2), limit / 2);
                let expected = [&all[..head], &all[all.len() - tail..]].concat();
                prop_assert_eq!(got.bytes, expected);
            } else {
                prop_assert_eq!(got.bytes, all);
            }
        }
    }
}
