//! Running `true` over HTTP on a connection that is kept, against a loop that does it by hand.

use std::time::Instant;

use browserd_e2e::ports::Block;
use serde_json::json;

use crate::{
    Bench, bare,
    daemon::Daemon,
    http::Http,
    row::{Bar, Row},
    stats::{median, take_turns},
};

/// Runs in a turn.
const RUNS: usize = 20;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let daemon = Daemon::start(bench, Block::claim()?, None)?;
    let mut http = Http::open(daemon.api())?;
    let request = http.post("/process/exec", &json!({ "command": bare::PROGRAM }));
    let mut round = |is_ours: &mut bool| {
        let mut samples = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let start = Instant::now();
            if *is_ours {
                http.exchange(&request)?;
            } else {
                bare::run()?;
            }
            samples.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(median(&samples))
    };
    let mut sides = [false, true];
    take_turns(&mut sides, 3, &mut round)?;
    let rounds = take_turns(&mut sides, bench.rounds(100, 5), &mut round)?;
    let [peer, ours] = [median(&rounds[0]), median(&rounds[1])];
    Ok(Row::against("µs", ours, peer, Bar::RatioAtMost(1.5)).note("p50"))
}
