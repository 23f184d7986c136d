//! A round trip of 1 KiB through the relay to an echo server, against a plain TCP splice.

use std::time::Instant;

use super::sides::{Figures, Side, before_echo};
use crate::{
    Bench,
    client::{KEY_LENGTH, text_frame},
    row::{Bar, Row},
    stats::{median, take_turns},
};

/// Round trips in a turn. Few, so that whatever else the machine does falls on all sides.
const ROUND_TRIPS: usize = 100;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let (mut sides, _echo) = before_echo(bench)?;
    let request = text_frame(&[b'x'; 1024]);
    let mut answer = vec![0; request.len() - KEY_LENGTH];
    let mut round = |side: &mut Side| {
        let mut samples = Vec::with_capacity(ROUND_TRIPS);
        for _ in 0..ROUND_TRIPS {
            let start = Instant::now();
            side.client.exchange(&request, &mut answer)?;
            samples.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(median(&samples))
    };
    // The first rounds warm up.
    take_turns(&mut sides.each, 10, &mut round)?;
    let figures = Figures::of(&take_turns(
        &mut sides.each,
        bench.rounds(500, 20),
        &mut round,
    )?)?;
    let row = Row::against("µs", figures.ours, figures.peer, Bar::RatioAtMost(1.05));
    Ok(row.note("p50").note(figures.note()))
}
