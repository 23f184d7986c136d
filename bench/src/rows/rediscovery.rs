//! From a new URL line in Chromium's log to the answer that a waiting client gets from the
//! new browser, less the time in which that browser answers a client of its own.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use browserd_e2e::{Chromium, ports::Block};

use super::cdp_rtt::endpoint;
use crate::{
    Bench, cdp,
    client::{Client, connect},
    daemon::Daemon,
    row::Row,
    stats::median,
};

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let daemon = Daemon::start(bench, Block::claim()?, None)?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(daemon.chromium_log());
    let mut log = log.context("cannot write the log")?;
    let (mut ours, mut own) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(15, 2) {
        // The browser of the round before is dead by now.
        let chromium = bench.runtime.block_on(Chromium::start())?;
        // At first a browser is still busy with its start.
        direct(&chromium)?;
        bench.pause(Duration::from_secs(1));
        let before = direct(&chromium)?;
        let through = found(bench, &daemon, &mut log, &chromium)?;
        let direct = f64::midpoint(before, direct(&chromium)?);
        own.push(direct);
        ours.push(through - direct);
    }
    let row = Row::absolute("ms", median(&ours), 20.0);
    let worst = ours.iter().copied().fold(0.0, f64::max);
    Ok(row.note(format!(
        "worst {worst:.2}, Chromium itself {:.2}",
        median(&own)
    )))
}

/// Milliseconds in which the browser takes a client of its own and answers it.
fn direct(chromium: &Chromium) -> anyhow::Result<f64> {
    let (address, path) = endpoint(chromium.url())?;
    let mut samples = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        cdp::call(&mut Client::open(address, path)?, "Browser.getVersion")?;
        samples.push(milliseconds(start));
    }
    Ok(median(&samples))
}

/// Milliseconds from the line to the answer, for a client that waits already.
fn found(
    bench: &Bench,
    daemon: &Daemon,
    log: &mut File,
    chromium: &Chromium,
) -> anyhow::Result<f64> {
    let stream = connect(daemon.devtools())?;
    std::thread::scope(|scope| {
        let client = scope.spawn(move || {
            let mut client = Client::upgrade(stream, "/")?;
            cdp::call(&mut client, "Browser.getVersion")?;
            anyhow::Ok(Instant::now())
        });
        // The client has asked and the daemon has nothing to connect it to.
        bench.pause(Duration::from_millis(200));
        let start = Instant::now();
        log.write_all(chromium.line().as_bytes())?;
        let answered = client.join().ok().context("the client panicked")??;
        Ok(answered.duration_since(start).as_secs_f64() * 1e3)
    })
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
