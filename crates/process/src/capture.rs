//! The first and the last bytes of a stream, for a command that is run to its end.

use std::collections::VecDeque;

use browserd_budget::{Budget, Share};

/// What a byte of output costs until its answer is sent: itself, and the JSON that has it in
/// base64, which grows by doubling.
const COST: u64 = 4;

/// Keeps at most a given number of bytes: the first half of them, and the last. Fewer when the
/// memory of all requests is used up: then it keeps what it has, and the last in place of others.
#[derive(Debug)]
pub(crate) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_limit: usize,
    tail_limit: usize,
    share: Share,
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
    pub(crate) fn new(limit: usize, memory: &Budget) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_limit: limit.div_ceil(2),
            tail_limit: limit / 2,
            share: memory.share(),
            total: 0,
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = bytes.len().min(self.head_limit - self.head.len());
        let granted = self.keep(room);
        if granted < room {
            self.head_limit = self.head.len() + granted;
        }
        let (first, rest) = bytes.split_at(bytes.len().min(self.head_limit - self.head.len()));
        self.head.extend_from_slice(first);

        let more = rest.len().min(self.tail_limit - self.tail.len());
        let granted = self.keep(more);
        if granted < more {
            self.tail_limit = self.tail.len() + granted;
        }
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// How many of so many bytes there is memory for.
    fn keep(&mut self, count: usize) -> usize {
        let granted = self.share.grow_by_units(count as u64, COST);
        usize::try_from(granted).unwrap_or(count)
    }

    /// What was kept, and its part of the memory of all requests.
    pub(crate) fn finish(self) -> (Captured, Share) {
        let mut bytes = self.head;
        let (first, second) = self.tail.as_slices();
        bytes.reserve_exact(first.len() + second.len());
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(second);
        let truncated = self.total > bytes.len() as u64;
        let captured = Captured {
            bytes,
            truncated,
            total_bytes: self.total,
        };
        (captured, self.share)
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
            let budget = Budget::new(u64::MAX);
            let mut capture = Capture::new(limit, &budget);
            for piece in &pieces {
                capture.append(piece);
            }
            let all = pieces.concat();
            let (got, share) = capture.finish();
            prop_assert_eq!(share.bytes(), got.bytes.len() as u64 * COST);
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

    /// Two streams that share what there is; nothing is given back before the answer has gone.
    #[test]
    fn together_they_keep_no_more_than_there_is() {
        let budget = Budget::new(100 * COST);
        let mut captures = [(); 2].map(|()| Capture::new(1_000, &budget));
        for byte in 0..100 {
            for capture in &mut captures {
                capture.append(&[byte; 10]);
            }
        }
        let ended = captures.map(Capture::finish);
        let kept: usize = ended.iter().map(|(captured, _)| captured.bytes.len()).sum();
        assert_eq!(kept, 100);
        for (captured, _) in &ended {
            assert!(captured.truncated && captured.total_bytes == 1_000);
            assert!(captured.bytes.starts_with(&[0; 10]));
        }
        assert_eq!(budget.used(), 100 * COST);
        drop(ended);
        assert_eq!(budget.used(), 0);
    }
}
