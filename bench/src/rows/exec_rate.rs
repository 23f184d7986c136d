//! Running `true` from eight clients at once, against as many threads that do it by hand.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use browserd_e2e::ports::Block;
use serde_json::json;

use crate::{
    Bench, bare,
    daemon::Daemon,
    http::Http,
    row::{Bar, Row},
    stats::{median, take_turns},
};

const CLIENTS: usize = 8;
/// How long a turn takes.
const TURN: Duration = Duration::from_millis(500);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let daemon = Daemon::start(bench, Block::claim()?, None)?;
    let clients = (0..CLIENTS).map(|_| Http::open(daemon.api()));
    let mut clients = clients.collect::<anyhow::Result<Vec<_>>>()?;
    let request = clients[0].post("/process/exec", &json!({ "command": bare::PROGRAM }));
    let mut round = |is_ours: &mut bool| {
        if *is_ours {
            rate(
                clients
                    .iter_mut()
                    .map(|client| || client.exchange(&request).map(drop)),
            )
        } else {
            rate((0..CLIENTS).map(|_| bare::run))
        }
    };
    let mut sides = [false, true];
    take_turns(&mut sides, 1, &mut round)?;
    let rounds = take_turns(&mut sides, bench.rounds(12, 2), &mut round)?;
    let [peer, ours] = [median(&rounds[0]), median(&rounds[1])];
    Ok(Row::against("1/s", ours, peer, Bar::RatioAtLeast(0.75)).note("8 clients"))
}

/// Lets every worker run in a thread of its own for a turn; returns the runs per second.
fn rate<W>(workers: impl Iterator<Item = W>) -> anyhow::Result<f64>
where
    W: FnMut() -> anyhow::Result<()> + Send,
{
    let (start, runs) = (Instant::now(), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let work = |mut worker: W| {
            while start.elapsed() < TURN {
                worker()?;
                runs.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        };
        let threads: Vec<_> = workers
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| anyhow::bail!("it panicked"))
        })
    })?;
    Ok(f64::from(runs.into_inner()) / start.elapsed().as_secs_f64())
}
