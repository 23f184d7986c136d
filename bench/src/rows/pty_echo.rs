//! A key to a terminal and its echo back, through `cat`, against a terminal of socat's.

use std::{net::Ipv4Addr, time::Instant};

use browserd_e2e::{ports::Block, process::Launch};
use serde_json::json;

use crate::{
    Bench,
    client::{Client, binary_frame, connect},
    daemon::{Daemon, SPLICES},
    http::Http,
    row::{Bar, Row},
    stats::{median, take_turns},
};

/// Keys in a turn.
const KEYS: usize = 100;

/// One side: its connection, and what a key is on it.
struct Side {
    client: Client,
    key: Vec<u8>,
    echo: Vec<u8>,
}

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let daemon = Daemon::start(bench, Block::claim()?, None)?;
    let mut sides = [socat(&daemon)?, ours(&daemon)?];
    let peer = &mut sides[0];
    let _socat = peer.1.take();
    let mut sides = sides.map(|(side, _)| side);
    let mut round = |side: &mut Side| {
        let mut samples = Vec::with_capacity(KEYS);
        for _ in 0..KEYS {
            let start = Instant::now();
            side.client.exchange(&side.key, &mut side.echo)?;
            samples.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(median(&samples))
    };
    take_turns(&mut sides, 5, &mut round)?;
    let rounds = take_turns(&mut sides, bench.rounds(100, 5), &mut round)?;
    let [peer, ours] = [median(&rounds[0]), median(&rounds[1])];
    Ok(Row::against("µs", ours, peer, Bar::RatioAtMost(1.5)).note("p50"))
}

type Started = (Side, Option<browserd_e2e::process::Process>);

fn socat(daemon: &Daemon) -> anyhow::Result<Started> {
    let port = daemon.port(SPLICES);
    let process = Launch::new("socat")
        .arg(format!(
            "TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,nodelay"
        ))
        .arg("EXEC:cat,pty,raw,echo=0,setsid")
        .spawn()?;
    let client = Client::plain(connect((Ipv4Addr::LOCALHOST, port).into())?);
    let side = Side {
        client,
        key: b"x".to_vec(),
        echo: vec![0],
    };
    Ok((side, Some(process)))
}

fn ours(daemon: &Daemon) -> anyhow::Result<Started> {
    let script = "stty raw -echo; printf r; exec cat";
    let request = json!({ "command": "sh", "args": ["-c", script], "allocate_tty": true });
    let id = Http::open(daemon.api())?.spawn(&request)?;
    let mut client = Client::open(daemon.api(), &format!("/process/{id}/attach"))?;
    // The echo of the terminal is off from here on.
    while client.receive()? != b"r" {}
    let side = Side {
        client,
        key: binary_frame(b"x"),
        echo: vec![0; 3],
    };
    Ok((side, None))
}
