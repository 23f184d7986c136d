//! One number of bytes that many share: what requests hold in memory, what outputs hold on the
//! disk. It is counted, never allocated: whoever takes a share keeps to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number of bytes that is shared. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let used = AtomicU64::new(0);
        Self {
            shared: Arc::new(Shared { limit, used }),
        }
    }

    /// A share with nothing in it yet.
    #[must_use]
    pub fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            bytes: 0,
        }
    }

    /// The bytes of all shares.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.shared.used.load(Ordering::Acquire)
    }
}

/// A part of a budget. Dropped, it is given back.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    bytes: u64,
}

impl Share {
    /// Takes more, all of it or nothing. Returns whether there was enough.
    #[must_use]
    pub fn grow(&mut self, bytes: u64) -> bool {
        let Shared { limit, used } = &*self.budget.shared;
        let more = |used: u64| used.checked_add(bytes).filter(|sum| sum <= limit);
        let is_granted = used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok();
        if is_granted {
            self.bytes += bytes;
        }
        is_granted
    }

    /// Takes as much of this as there is, in whole units. Returns how many units that was.
    #[must_use]
    pub fn grow_by_units(&mut self, units: u64, unit: u64) -> u64 {
        let Shared { limit, used } = &*self.budget.shared;
        let granted = |used: u64| units.min(limit.saturating_sub(used) / unit.max(1));
        let more = |used: u64| Some(used + granted(used) * unit);
        match used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(before) => {
                let granted = granted(before);
                self.bytes += granted * unit;
                granted
            }
            // Never, as it is always some number.
            Err(_) => 0,
        }
    }

    /// Gives back what is more than this.
    pub fn shrink_to(&mut self, bytes: u64) {
        let more = self.bytes.saturating_sub(bytes);
        self.bytes -= more;
        self.budget.shared.used.fetch_sub(more, Ordering::AcqRel);
    }

    /// How much it is.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_together_and_given_back() {
        let budget = Budget::new(10);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.grow(6));
        assert!(!second.grow(5) && !second.grow(u64::MAX));
        assert!(second.grow(4));
        assert_eq!((budget.used(), first.bytes(), second.bytes()), (10, 6, 4));
        first.shrink_to(1);
        assert_eq!((budget.used(), first.bytes()), (5, 1));
        first.shrink_to(3);
        assert_eq!(first.bytes(), 1);
        assert_eq!(first.grow_by_units(5, 2), 2);
        assert_eq!((budget.used(), first.bytes()), (9, 5));
        assert_eq!(first.grow_by_units(1, 2), 0);
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }
}
