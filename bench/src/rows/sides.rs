//! The sides of a relay row: the splice, the splice again (what they differ by is the noise),
//! and the daemon, all on one processor together with the client and the upstream.

use std::net::SocketAddr;

use anyhow::Context as _;
use browserd_e2e::{ports::Block, process::Process};

use crate::{
    Bench,
    client::Client,
    daemon::{Daemon, Echo, SPLICES},
    machine::Pinned,
    splice,
    stats::median,
};

/// One relay with an open connection through it.
#[derive(Debug)]
pub(crate) struct Side {
    /// The connection.
    pub(crate) client: Client,
    /// The relay's process.
    pub(crate) pid: u32,
}

/// All sides, and what has to live as long. The connections are dropped first.
#[derive(Debug)]
pub(crate) struct Sides {
    /// Peer, peer again, ours.
    pub(crate) each: Vec<Side>,
    _splices: Vec<Process>,
    _daemon: Daemon,
    pinned: Pinned,
}

/// The figure of each side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// The splice's.
    pub(crate) peer: f64,
    /// The daemon's.
    pub(crate) ours: f64,
    /// The second splice by the first.
    pub(crate) noise: f64,
}

impl Sides {
    /// Puts all sides in front of an upstream; `path` is what the splice's client asks for.
    pub(crate) fn start(
        bench: &Bench,
        block: Block,
        upstream: SocketAddr,
        path: &str,
    ) -> anyhow::Result<Self> {
        let pinned = Pinned::last()?;
        let daemon = Daemon::start(bench, block, Some(upstream))?;
        let (mut sides, mut splices) = (Vec::new(), Vec::new());
        for port in [SPLICES, SPLICES + 1] {
            let (process, address) = splice::start(daemon.port(port), upstream)?;
            let client = Client::open(address, path).context("through socat")?;
            sides.push(Side {
                client,
                pid: process.pid(),
            });
            splices.push(process);
        }
        sides.push(Side {
            client: daemon.session()?,
            pid: daemon.pid(),
        });
        // Only now do the relays have the threads that they will have.
        for side in &sides {
            pinned.bring(side.pid)?;
        }
        Ok(Self {
            each: sides,
            _splices: splices,
            _daemon: daemon,
            pinned,
        })
    }

    /// Brings another process to the same processor.
    pub(crate) fn bring(&self, pid: u32) -> anyhow::Result<()> {
        self.pinned.bring(pid)
    }
}

/// All sides in front of an echo server.
pub(crate) fn before_echo(bench: &Bench) -> anyhow::Result<(Sides, Echo)> {
    let block = Block::claim()?;
    let echo = Echo::start(&block)?;
    let sides = Sides::start(bench, block, echo.address(), "/")?;
    sides.bring(echo.pid())?;
    Ok((sides, echo))
}

impl Figures {
    /// The median of each side's figures, in the order of [`Sides::each`].
    pub(crate) fn of(figures: &[Vec<f64>]) -> anyhow::Result<Self> {
        let medians: Vec<_> = figures.iter().map(|side| median(side)).collect();
        let [peer, again, ours] = medians[..] else {
            anyhow::bail!("there are three sides")
        };
        Ok(Self {
            peer,
            ours,
            noise: again / peer,
        })
    }

    /// The noise, for printing.
    pub(crate) fn note(&self) -> String {
        format!("splice by itself {:.3}", self.noise)
    }
}
