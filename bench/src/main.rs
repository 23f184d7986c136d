//! `browserd-bench`: runs every performance row against its peer, prints one line each, and
//! writes them to a file.
//!
//! A row is one function in `rows/`, named in the table in `rows.rs`. It measures our side and
//! its peer's in turn and hands back a [`row::Row`].

mod bare;
mod cdp;
mod client;
mod daemon;
mod echo;
mod grab;
mod http;
mod machine;
mod row;
mod rows;
mod splice;
mod stats;
mod sys;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use browserd_e2e::case::Lacking;
use clap::{Parser, Subcommand};

use crate::{row::Row, rows::ROWS};

/// Measures browserd against its peers.
#[derive(Debug, Parser)]
#[command(name = "browserd-bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    /// The daemon to measure; without it the release build beside this program's own folder.
    #[arg(long, value_name = "PATH")]
    browserd: Option<PathBuf>,
    /// Where the rows go as JSON; without it bench.json in the target folder.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Few rounds: enough to see that every row runs, too few for its figure.
    #[arg(long)]
    short: bool,
    /// Lists the names of all rows.
    #[arg(long)]
    list: bool,
    /// Runs only rows of these names, or whose names hold these texts.
    #[arg(value_name = "ROW")]
    only: Vec<String>,
}

/// What this program does when it is its own peer.
#[derive(Debug, Subcommand)]
enum Role {
    /// The echo server that the relay rows measure against.
    #[command(hide = true)]
    Echo {
        /// Where it listens.
        listen: SocketAddr,
    },
}

/// How often a row that is far from its bar is measured anew.
const MEASURED_ANEW: usize = 3;

/// What every row gets.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The daemon's binary.
    pub(crate) browserd: PathBuf,
    /// Whether to make it short.
    pub(crate) short: bool,
    /// For what is asynchronous.
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// Lets time pass.
    pub(crate) fn pause(&self, period: Duration) {
        // The timer must be made within the runtime.
        self.runtime
            .block_on(async { tokio::time::sleep(period).await });
    }

    /// One number for a real run, one for a short one.
    pub(crate) const fn rounds(&self, full: usize, short: usize) -> usize {
        if self.short { short } else { full }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Role::Echo { listen }) = cli.role {
        return exit(echo::serve(listen).map(|()| true));
    }
    exit(run(&cli))
}

fn exit(done: anyhow::Result<bool>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen rows; false when one of them could not be run, or is far from its bar.
fn run(cli: &Cli) -> anyhow::Result<bool> {
    if cli.list {
        for (name, _) in ROWS {
            println!("{name}");
        }
        return Ok(true);
    }
    let is_asked = |text: &str| ROWS.iter().any(|(name, _)| asks(text, name));
    if let Some(text) = cli.only.iter().find(|text| !is_asked(text)) {
        anyhow::bail!("no row has {text:?} in its name; --list lists them");
    }
    let target = target_folder()?;
    let browserd = cli
        .browserd
        .clone()
        .unwrap_or_else(|| target.join("release/browserd"));
    // Rows start it in folders of their own.
    let browserd = std::fs::canonicalize(&browserd)
        .with_context(|| format!("no daemon at {}", browserd.display()))?;
    let bench = Bench {
        browserd,
        short: cli.short,
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
    };
    anyhow::ensure!(
        bench.browserd.is_file(),
        "{} is not a file",
        bench.browserd.display()
    );
    let chosen = |name: &str| cli.only.is_empty() || cli.only.iter().any(|text| asks(text, name));
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (name, measure) in ROWS.iter().filter(|(name, _)| chosen(name)) {
        match measured(*measure, &bench) {
            Ok(row) => {
                let row = row.named(name);
                println!("{row}");
                done.push(row);
            }
            Err(error) if error.is::<Lacking>() => println!("{name:<22} left out: {error}"),
            Err(error) => {
                println!("{name:<22} could not be run: {error:#}");
                failed.push(*name);
            }
        }
    }
    let out = cli.out.clone().unwrap_or_else(|| target.join("bench.json"));
    write(&out, &done)?;
    summary(&done, &failed);
    Ok(failed.is_empty() && !done.iter().any(Row::is_far))
}

/// A row; one that is far from its bar is measured anew, since whatever else ran on the machine may be
/// to blame: the short form has two or three samples of some rows. What is slow is slow each time.
fn measured(measure: rows::Measure, bench: &Bench) -> anyhow::Result<Row> {
    let mut row = measure(bench)?;
    for anew in 1..=MEASURED_ANEW {
        if !row.is_far() {
            break;
        }
        row = measure(bench)?.note(format!("measured anew, {anew} of {MEASURED_ANEW}"));
    }
    Ok(row)
}

/// Whether a text on the command line asks for a row: by its name, or by a part of names.
fn asks(text: &str, name: &str) -> bool {
    let is_name = ROWS.iter().any(|(known, _)| *known == text);
    if is_name {
        text == name
    } else {
        name.contains(text)
    }
}

/// The folder that Cargo builds into: this program lies in a profile's folder within.
fn target_folder() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the path of this program")?;
    let target = own.parent().and_then(Path::parent);
    target
        .map(Path::to_owned)
        .context("this program does not lie in a target folder")
}

fn write(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(rows)?;
    std::fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn summary(rows: &[Row], failed: &[&str]) {
    let missed: Vec<_> = rows
        .iter()
        .filter(|row| !row.is_met())
        .map(Row::name)
        .collect();
    if !failed.is_empty() {
        println!("\nnot run: {}", failed.join(", "));
    }
    for row in rows.iter().filter(|row| row.is_far()) {
        println!("{}: it reaches less than half of its bar", row.name());
    }
    if missed.is_empty() {
        println!("\n{} rows, every bar met", rows.len());
    } else {
        println!("\n{} rows, MISSED: {}", rows.len(), missed.join(", "));
    }
}
