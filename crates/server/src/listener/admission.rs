//! Who gets in: a place for each connection, and the few that are told that there is none.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Connections that are told at once that there is no place. One above is closed without a word.
const TOLD: usize = 64;
/// The least time between two lines of the log that say so.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A connection's place among all, from its acceptance to the end of what it became: a
/// connection that was upgraded takes it along.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// What a new connection is let do.
#[derive(Debug)]
pub(super) enum Admitted {
    /// It is served.
    In(Place),
    /// It is told that there is no place for it; the permit bounds how many are.
    Told(OwnedSemaphorePermit),
    /// It is closed.
    Out,
}

/// The places of all listeners together.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    telling: Arc<Semaphore>,
    log: Arc<Mutex<Log>>,
}

/// What has been turned away since the last line about it.
#[derive(Debug, Default)]
struct Log {
    last: Option<Instant>,
    since: usize,
}

impl Admission {
    /// Lets in this many at once.
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(connections)),
            telling: Arc::new(Semaphore::new(TOLD)),
            log: Arc::default(),
        }
    }

    /// What becomes of the next one.
    pub(super) fn admit(&self) -> Admitted {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Admitted::In(Place { _permit: permit });
        }
        self.log_turned_away();
        let told = Arc::clone(&self.telling).try_acquire_owned();
        told.map_or(Admitted::Out, Admitted::Told)
    }

    /// A flood of connections is no flood of lines.
    fn log_turned_away(&self) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.since += 1;
        if log.last.is_none_or(|last| last.elapsed() >= LOG_EVERY) {
            tracing::warn!(
                turned_away = log.since,
                "too many connections (MAX_CONNECTIONS)"
            );
            *log = Log {
                last: Some(Instant::now()),
                since: 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_without_a_place_are_told_and_few_of_them() {
        let admission = Admission::new(1);
        let Admitted::In(place) = admission.admit() else {
            panic!("there was a place");
        };
        let told: Vec<_> = (0..TOLD).map(|_| admission.admit()).collect();
        assert!(told.iter().all(|one| matches!(one, Admitted::Told(_))));
        assert!(matches!(admission.admit(), Admitted::Out));
        drop(told);
        assert!(matches!(admission.admit(), Admitted::Told(_)));
        drop(place);
        assert!(matches!(admission.admit(), Admitted::In(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_one_line_in_ten_seconds() {
        let admission = Admission::new(0);
        let logged = || admission.log.lock().unwrap().since == 0;
        let _ = admission.admit();
        assert!(logged(), "the first is");
        let _ = admission.admit();
        let _ = admission.admit();
        assert!(!logged());
        tokio::time::advance(LOG_EVERY).await;
        let _ = admission.admit();
        assert!(logged(), "and how many there were since");
    }
}
