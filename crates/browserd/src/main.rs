//! `browserd`: reads the settings, then serves, runs Chromium, runs a machine, or prints the
//! document.

mod children;
mod config;
mod heap;
mod init;
mod log;
mod serve;
mod shutdown;

use std::{io::Write as _, process::ExitCode};

use browserd_chromium::launcher::{self, Ended};
use browserd_process as process;

use crate::config::{Cli, Command, Launch, Serve};

/// The exit code for a wrong flag or variable, as `sysexits.h` has it.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == process::BECOME)
    {
        // On the way to a program of another user; no command for people.
        return process::become_program();
    }
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(refused) if refused.asked_for => return print(&refused.text),
        Err(refused) => {
            eprint!("{}", refused.text);
            return ExitCode::from(USAGE);
        }
    };
    let done = match cli.command {
        Command::Serve(settings) => run(*settings),
        Command::Chromium(settings) => return launch(*settings),
        Command::Init(settings) => return init::run(&settings),
        Command::Openapi => return print(&browserd_server::openapi_yaml()),
        Command::Settings => return print(&config::page()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("browserd: {error:#}");
    ExitCode::FAILURE
}

/// Writes to stdout; a reader that has gone away is no failure.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn run(settings: Serve) -> anyhow::Result<()> {
    heap::share_one();
    log::init(&settings.log)?;
    let environment = children::environment();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve::serve(settings, environment));
    runtime.shutdown_timeout(shutdown::LAST_WAIT);
    served
}

fn launch(settings: Launch) -> ExitCode {
    let ended = log::init(&settings.log).and_then(|()| Ok(launcher::launch(&settings.into())?));
    match ended {
        Ok(Ended { code, why }) => {
            // As errors are told, for `/readyz` to find.
            if let Some(why) = why {
                eprintln!("browserd: {why}");
            }
            ExitCode::from(code)
        }
        Err(error) => failed(&error),
    }
}
