//! What `/readyz` answers: each part asked at the same time, none for longer than a second.

mod services;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use browserd_api::{Part, Parts, Ready};
use browserd_blocking::Pool;
use nix::sys::statvfs::statvfs;
use tokio::time::timeout;

use crate::app::App;

/// How long a part may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Below this much free space, in bytes, a browser profile cannot be written safely.
const LEAST_FREE: u64 = 64 * 1024 * 1024;
/// Where files are, besides the profile.
const ROOT: &str = "/";

/// Asks every part.
pub(crate) async fn check(app: &App) -> Ready {
    let (display, supervisor, disk) = tokio::join!(display(app), supervisor(app), disk(app));
    let parts = Parts {
        devtools: devtools(app),
        display,
        supervisor,
        disk,
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
    let pool = &app.domains.pools.readiness;
    match timeout(PATIENCE, services::check(&app.domains.supervisor, pool)).await {
        Ok(Ok(part)) => part,
        other => part(other, |_| String::new()),
    }
}

/// Looks at the file systems of the profile and of the rest. One that hangs costs a thread that is
/// for nothing else.
async fn disk(app: &App) -> Part {
    let pool = &app.domains.pools.readiness;
    let (profile, root) = tokio::join!(
        room_in(pool, app.config.data_dir.clone()),
        room_in(pool, ROOT.into())
    );
    if profile.ready { root } else { profile }
}

async fn room_in(pool: &Pool, dir: PathBuf) -> Part {
    let shown = dir.clone();
    let look = pool.run(dir.clone(), move || {
        // Not yet made, the folder will be on the file system of what is there.
        let found = dir.ancestors().find(|path| path.exists());
        room(found.unwrap_or_else(|| Path::new(ROOT)))
    });
    match timeout(PATIENCE, look).await {
        Ok(Ok(part)) => part,
        Ok(Err(error)) => Part {
            ready: false,
            detail: error.to_string(),
        },
        Err(_) => Part {
            ready: false,
            detail: format!(
                "the file system of {} does not answer within {} s",
                shown.display(),
                PATIENCE.as_secs()
            ),
        },
    }
}

/// Whether a file system has room.
fn room(place: &Path) -> Part {
    let shown = place.display();
    match statvfs(place) {
        Ok(disk) => {
            let free = disk.blocks_available() * disk.fragment_size();
            Part {
                ready: free >= LEAST_FREE,
                detail: format!("{} MiB free on {shown}", free >> 20),
            }
        }
        Err(error) => Part {
            ready: false,
            detail: format!("cannot ask {shown} for space: {error}"),
        },
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
