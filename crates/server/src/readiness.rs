//! What `/readyz` answers: each part asked at the same time, none for longer than a second.

use std::{path::Path, time::Duration};

use browserd_api::{Part, Parts, Ready};
use nix::sys::statvfs::statvfs;
use tokio::time::timeout;

use crate::app::App;

/// How long a part may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Below this much free space, in bytes, a browser profile cannot be written safely.
const LEAST_FREE: u64 = 64 * 1024 * 1024;
/// The file system that is asked for free space: where the profile and files are.
const DISK: &str = "/";

/// Asks every part.
pub(crate) async fn check(app: &App) -> Ready {
    let (display, supervisor) = tokio::join!(display(app), supervisor(app));
    let parts = Parts {
        devtools: devtools(app),
        display,
        supervisor,
        disk: disk(),
    };
    let all = [
        &parts.devtools,
        &parts.display,
        &parts.supervisor,
        &parts.disk,
    ];
    let ready = !app.is_draining() && all.iter().all(|part| part.ready);
    Ready { ready, parts }
}

fn devtools(app: &App) -> Part {
    let status = app.domains.upstream.status();
    Part {
        ready: status.up,
        detail: status.detail,
    }
}

async fn display(app: &App) -> Part {
    let Ok(desktop) = app.desktop() else {
        return Part {
            ready: true,
            detail: "there is none, as configured".to_owned(),
        };
    };
    let display = &desktop.display;
    part(timeout(PATIENCE, display.probe()).await, |()| {
        format!("{} answers", display.name())
    })
}

async fn supervisor(app: &App) -> Part {
    part(
        timeout(PATIENCE, app.domains.supervisor.state()).await,
        |state| format!("supervisord is {state}"),
    )
}

fn disk() -> Part {
    let free = match statvfs(Path::new(DISK)) {
        Ok(disk) => disk.blocks_available() * disk.fragment_size(),
        Err(error) => {
            return Part {
                ready: false,
                detail: format!("cannot ask {DISK} for space: {error}"),
            };
        }
    };
    Part {
        ready: free >= LEAST_FREE,
        detail: format!("{} MiB free on {DISK}", free >> 20),
    }
}

fn part<T, E: std::fmt::Display>(
    answer: Result<Result<T, E>, tokio::time::error::Elapsed>,
    describe: impl FnOnce(T) -> String,
) -> Part {
    match answer {
        Ok(Ok(value)) => Part {
            ready: true,
            detail: describe(value),
        },
        Ok(Err(error)) => Part {
            ready: false,
            detail: error.to_string(),
        },
        Err(_) => Part {
            ready: false,
            detail: format!("no answer within {} s", PATIENCE.as_secs()),
        },
    }
}
