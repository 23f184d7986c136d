//! Waiting for something that happens soon, without guessing how soon.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep};

use crate::settings;

/// How long [`assert_eventually!`](crate::assert_eventually) waits on a quiet machine.
pub const USUAL: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(20);

/// What a poll found.
pub trait Outcome {
    /// What is handed back when it holds.
    type Value;

    /// The value, or what was seen instead.
    fn settle(self) -> Result<Self::Value, String>;
}

/// It got that far, past whatever `?` could have stopped it.
impl Outcome for () {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        Ok(())
    }
}

impl Outcome for bool {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        if self {
            Ok(())
        } else {
            Err("false".to_owned())
        }
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

/// An outcome that a `?` may have come before.
#[doc(hidden)]
#[derive(Debug)]
pub struct Poll<O>(pub anyhow::Result<O>);

impl<O: Outcome> Outcome for Poll<O> {
    type Value = O::Value;

    fn settle(self) -> Result<O::Value, String> {
        self.0
            .map_err(|error| format!("{error:?}"))
            .and_then(O::settle)
    }
}

impl<T, E: Debug> Outcome for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Polls until the outcome holds, for at most `limit` times the patience of the environment.
/// The error tells what the last poll saw.
pub async fn until<O: Outcome>(
    limit: Duration,
    mut poll: impl AsyncFnMut() -> O,
) -> anyhow::Result<O::Value> {
    let limit = settings::patience(limit);
    let deadline = Instant::now() + limit;
    let mut seen = "no answer".to_owned();
    loop {
        match tokio::time::timeout_at(deadline, poll())
            .await
            .map(O::settle)
        {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(other)) => seen = other,
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            anyhow::bail!("not within {limit:?}; the last poll saw: {seen}");
        }
        sleep(PAUSE).await;
    }
}

/// Polls an expression until it is `true`, `Some`, `Ok` or `()`, and evaluates to what it
/// holds. A `?` in it means not yet. Panics after [`USUAL`], or the limit given as `within: …`, each raised by `E2E_PATIENCE`.
#[macro_export]
macro_rules! assert_eventually {
    (within: $limit:expr, $what:literal, $poll:expr) => {
        match $crate::patience::until($limit, async || {
            $crate::patience::Poll(async { Ok($poll) }.await)
        })
        .await
        {
            Ok(value) => value,
            Err(error) => panic!("{}: {error}", format_args!($what)),
        }
    };
    ($what:literal, $poll:expr) => {
        $crate::assert_eventually!(within: $crate::patience::USUAL, $what, $poll)
    };
}
