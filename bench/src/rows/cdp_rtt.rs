//! A `Target.getTargets` to a real Chromium through the relay, against a plain TCP splice in
//! front of the same Chromium; the direct way is printed beside it.

use std::{net::SocketAddr, time::Instant};

use anyhow::Context as _;
use browserd_e2e::{Chromium, ports::Block, procfs};

use super::sides::{Figures, Side, Sides};
use crate::{
    Bench, cdp,
    client::Client,
    row::{Bar, Row},
    stats::{median, take_turns},
};

/// Calls in a turn. Few, because Chromium's own pace drifts.
const CALLS: usize = 10;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let chromium = bench.runtime.block_on(Chromium::start())?;
    let (address, path) = endpoint(chromium.url())?;
    let mut sides = Sides::start(bench, Block::claim()?, address, path)?;
    bring(&sides, &chromium)?;
    let direct = Client::open(address, path)?;
    // Its process is never looked at.
    sides.each.push(Side {
        client: direct,
        pid: 0,
    });
    let mut round = |side: &mut Side| {
        let mut samples = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let start = Instant::now();
            cdp::call(&mut side.client, "Target.getTargets")?;
            samples.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(median(&samples))
    };
    take_turns(&mut sides.each, 20, &mut round)?;
    let mut rounds = take_turns(&mut sides.each, bench.rounds(1000, 30), &mut round)?;
    let direct = median(&rounds.pop().unwrap_or_default());
    let figures = Figures::of(&rounds)?;
    let row = Row::against("µs", figures.ours, figures.peer, Bar::RatioAtMost(1.05));
    let direct = format!(
        "direct {direct:.2}, ours by direct {:.3}",
        figures.ours / direct
    );
    Ok(row.note("p50").note(figures.note()).note(direct))
}

/// Host with port, and path, of a WebSocket URL.
pub(super) fn endpoint(url: &str) -> anyhow::Result<(SocketAddr, &str)> {
    let rest = url.strip_prefix("ws://").context("no WebSocket URL")?;
    let at = rest.find('/').context("no path in the URL")?;
    Ok((
        rest[..at].parse().context("no address in the URL")?,
        &rest[at..],
    ))
}

/// Brings all of Chromium's processes to the processor of the sides.
fn bring(sides: &Sides, chromium: &Chromium) -> anyhow::Result<()> {
    let profile = chromium.profile();
    let folder = profile
        .parent()
        .context("the profile lies in a folder")?
        .display()
        .to_string();
    for pid in procfs::all()
        .into_keys()
        .filter(|&pid| procfs::mentions(pid, &folder))
    {
        sides.bring(pid)?;
    }
    Ok(())
}
