//! The processor time that the relay takes for 100,000 messages of 1 KiB, half of them each
//! way, against a plain TCP splice.

use super::sides::{Figures, Side, before_echo};
use crate::{
    Bench,
    client::{KEY_LENGTH, text_frame},
    machine::cpu_seconds,
    row::{Bar, Row},
    stats::take_turns,
};

/// Messages in a turn.
const MESSAGES: u32 = 1_000;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let (mut sides, _echo) = before_echo(bench)?;
    let request = text_frame(&[b'x'; 1024]);
    let mut answer = vec![0; request.len() - KEY_LENGTH];
    let mut round = |side: &mut Side| {
        let before = cpu_seconds(side.pid)?;
        for _ in 0..MESSAGES / 2 {
            side.client.exchange(&request, &mut answer)?;
        }
        Ok((cpu_seconds(side.pid)? - before) * 1e5 / f64::from(MESSAGES))
    };
    take_turns(&mut sides.each, 5, &mut round)?;
    let figures = Figures::of(&take_turns(
        &mut sides.each,
        bench.rounds(200, 10),
        &mut round,
    )?)?;
    let row = Row::against("s", figures.ours, figures.peer, Bar::RatioAtMost(1.2));
    Ok(row.note(figures.note()))
}
