//! Builds the daemon from its settings, runs it, and drains it on a signal.

use std::time::Duration;

use anyhow::Context as _;
use browserd_blocking::{self as blocking, Pool};
use browserd_budget::Budget;
use browserd_devtools::upstream::{self, Source};
use browserd_display::{Desktop, Display};
use browserd_files::{self as files, ArchiveLimits, Files, WatchLimits};
use browserd_process::{self as process, Environment};
use browserd_server::{Domains, Limits, Listen, Pools, Rules, Server};
use browserd_ws::relay;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::Serve,
    heap,
    shutdown::{self, Work},
};

/// What `/readyz` may take of threads. It waits for a second, and is asked again all the time.
const READINESS: blocking::Limits = blocking::Limits {
    threads: 16,
    threads_each: 4,
    queue_each: 16,
    queue: 64,
    deadline: Duration::from_secs(2),
};

/// Serves until SIGTERM or SIGINT, then drains.
pub(crate) async fn serve(settings: Serve, environment: Environment) -> anyhow::Result<()> {
    // Signals are caught from the first moment: one that comes during the start must
    // not kill a daemon that has begun to serve.
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;

    let (processes, background) = (Work::default(), Work::default());
    heap::keep_some();
    let server = Server::bind(&listen(&settings))?;
    let (upstream, watching) = upstream::spawn(source(&settings), background.stop.clone());
    let bounds = process_config(&settings, environment);
    let (process, reaping) =
        process::start(bounds, processes.stop.clone()).context("cannot run processes")?;
    processes.tasks.spawn(reaping);
    background.tasks.spawn(watching);
    let desktop = desktop(&settings, &background)?;
    let domains = Domains {
        upstream,
        process,
        files: Files::new(files_config(&settings)),
        desktop,
        supervisor: browserd_supervisor::Client::new(&settings.machine.supervisor_socket),
        pools: Pools {
            logs: Pool::new("logs", blocking_limits(&settings)),
            readiness: Pool::new("readiness", READINESS),
        },
    };
    let running = server.run(server_config(&settings), domains);
    // A start needs more than what follows it: the routes are described in full, in two notations.
    heap::trim();
    background.tasks.spawn(heap::tend(background.stop.clone()));

    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        port = settings.ports.port,
        devtools_proxy_port = settings.ports.devtools_proxy_port,
        metrics_port = settings.ports.metrics_port,
        "serving"
    );
    warn_if_open(&settings);
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "shutting down");
    shutdown::drain(&running, processes, background).await;
    Ok(())
}

/// What there is of a screen.
fn desktop(settings: &Serve, background: &Work) -> anyhow::Result<Option<Desktop>> {
    if settings.computer.no_display {
        return Ok(None);
    }
    let display = Display::new(settings.machine.display_num);
    let backend = settings.computer.input_backend;
    let (desktop, working) =
        Desktop::spawn(display, backend, &background.stop).context("cannot work on a display")?;
    background.tasks.spawn(working);
    Ok(Some(desktop))
}

fn listen(settings: &Serve) -> Listen {
    Listen {
        address: settings.ports.listen_address,
        api: settings.ports.port,
        devtools: settings.ports.devtools_proxy_port,
        metrics: settings.ports.metrics_port,
        open_when: settings.ports.open_when,
    }
}

fn source(settings: &Serve) -> Source {
    match &settings.devtools.devtools_upstream {
        Some(fixed) => Source::Fixed(fixed.clone()),
        None => Source::Log(settings.devtools.chromium_log_file.clone()),
    }
}

fn server_config(settings: &Serve) -> browserd_server::Config {
    let devtools = &settings.devtools;
    let ping = Duration::from_secs(devtools.devtools_ping_sec);
    browserd_server::Config {
        limits: Limits {
            connections: settings.ports.max_connections,
            header_timeout: Duration::from_secs(settings.ports.header_timeout_sec),
            peer_timeout: Duration::from_secs(devtools.devtools_peer_timeout_sec),
            json_body_bytes: settings.ports.max_json_bytes,
        },
        rules: Rules {
            allowed_origins: settings.callers.allowed_origins.clone(),
            allowed_hosts: settings.callers.allowed_hosts.clone(),
        },
        devtools_wait: Duration::from_secs(devtools.devtools_wait_sec),
        part_wait: Duration::from_secs(settings.machine.part_wait_sec),
        relay: relay::Options {
            ping_every: (!ping.is_zero()).then_some(ping),
            log_frames: devtools.log_cdp_messages,
        },
        data_dir: settings.profile.browser_data_dir.clone(),
    }
}

/// Bounds for the threads of each concern.
fn blocking_limits(settings: &Serve) -> blocking::Limits {
    blocking::Limits {
        deadline: Duration::from_secs(settings.files.file_deadline_sec),
        ..blocking::Limits::default()
    }
}

fn files_config(settings: &Serve) -> files::Config {
    let bounds = &settings.files;
    files::Config {
        archive_limits: ArchiveLimits {
            entries: bounds.archive_max_entries,
            unpacked_bytes: bounds.archive_max_bytes,
            ratio: bounds.archive_max_ratio,
        },
        deadline: Duration::from_secs(bounds.file_deadline_sec),
        max_archives: bounds.max_archives,
        watch_limits: WatchLimits {
            watches: bounds.max_watches,
            events: bounds.watch_events,
            readers: settings.ports.max_streams,
            idle: Duration::from_secs(bounds.watch_idle_sec),
            ..WatchLimits::default()
        },
        ..files::Config::new(&bounds.upload_dir)
    }
}

fn process_config(settings: &Serve, environment: Environment) -> process::Config {
    let bounds = &settings.processes;
    process::Config {
        max_processes: bounds.max_processes,
        max_streams: settings.ports.max_streams,
        output_bytes: bounds.process_output_bytes,
        output_memory_bytes: bounds.process_output_memory_bytes,
        output_dir: bounds.process_output_dir.clone(),
        output_disk: Budget::new(bounds.process_output_disk_bytes),
        request_memory: Budget::new(bounds.request_memory_bytes),
        exec_output_bytes: bounds.exec_output_bytes,
        stop_within: shutdown::PROCESSES,
        ..process::Config::new(environment)
    }
}

/// Says once that anyone who reaches the ports may use them.
fn warn_if_open(settings: &Serve) {
    if !settings.ports.listen_address.to_canonical().is_loopback() {
        tracing::warn!(
            listen_address = %settings.ports.listen_address,
            "no authentication is configured: whoever reaches these ports controls this machine"
        );
    }
}
