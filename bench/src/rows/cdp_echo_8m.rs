//! The throughput of an 8 MiB message to an echo server and back, against a plain TCP splice.

use std::time::Instant;

use super::sides::{Figures, Side, before_echo};
use crate::{
    Bench,
    client::{KEY_LENGTH, text_frame},
    row::{Bar, Row},
    stats::take_turns,
};

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let (mut sides, _echo) = before_echo(bench)?;
    let request = text_frame(&vec![b'x'; 8 << 20]);
    let mut answer = vec![0; request.len() - KEY_LENGTH];
    #[expect(clippy::cast_precision_loss, reason = "it is far below 2^52")]
    let megabytes = (request.len() + answer.len()) as f64 / 1e6;
    let mut round = |side: &mut Side| {
        let start = Instant::now();
        side.client.exchange(&request, &mut answer)?;
        Ok(megabytes / start.elapsed().as_secs_f64())
    };
    take_turns(&mut sides.each, 2, &mut round)?;
    let figures = Figures::of(&take_turns(
        &mut sides.each,
        bench.rounds(60, 6),
        &mut round,
    )?)?;
    let row = Row::against("MB/s", figures.ours, figures.peer, Bar::RatioAtLeast(0.95));
    Ok(row.note(figures.note()))
}
