//! The life of the machine, from its first process' view.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use browserd_supervisor::Client;
use nix::{
    sys::{prctl::set_child_subreaper, signal::Signal},
    unistd::Pid,
};
use tokio::{
    signal::unix::{Signal as Caught, SignalKind, signal},
    sync::Notify,
    time::{sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Config, Error, Output, Writer,
    children::{self, Kept, Orphan, Reaped},
    fitness,
    gather::{self, Gatherer, Places},
    hardware,
    hold::Hold,
    machine, network, power, ready,
    stop::Stopping,
};

/// How long what the dead supervisord left behind may take to end by itself.
const LEFTOVERS: Duration = Duration::from_secs(5);
/// How long the last lines may take to be read and written.
const LAST_LINES: Duration = Duration::from_millis(300);
/// How long the runtime waits for its helper threads, at the very end.
const LAST_WAIT: Duration = Duration::from_millis(100);

/// Runs the machine until SIGTERM or SIGINT, or until the daemon says that it can never work.
/// Returns the exit code. On a machine that is no container, it is then switched off instead.
///
/// Threads must not wait for processes, nor start any, while this runs.
pub fn run(config: Config, output: Output, writer: Writer) -> Result<u8, Error> {
    if let Some(reason) = fitness::unfit(&config) {
        return Err(Error::Unfit(reason));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let code = runtime.block_on(async {
        let signals = Signals::catch()?;
        let code = Machine::new(config, output).live(signals).await;
        writer.finish(LAST_LINES).await;
        Ok(code)
    })?;
    runtime.shutdown_timeout(LAST_WAIT);
    if hardware::is_own() {
        hardware::switch_off();
    }
    Ok(code)
}

/// The signals that matter.
struct Signals {
    terminate: Caught,
    interrupt: Caught,
    child: Caught,
}

impl Signals {
    fn catch() -> Result<Self, Error> {
        let catch = |kind, name| signal(kind).map_err(|source| Error::Signal { name, source });
        Ok(Self {
            terminate: catch(SignalKind::terminate(), "SIGTERM")?,
            interrupt: catch(SignalKind::interrupt(), "SIGINT")?,
            child: catch(SignalKind::child(), "SIGCHLD")?,
        })
    }
}

/// Why the machine stops.
enum Why {
    Asked(&'static str),
    Hopeless(u8),
}

/// What a dead supervisord left behind is being ended.
struct Clearing {
    /// Who was asked to end.
    asked: Vec<Pid>,
    /// When those that have not are killed.
    deadline: Instant,
}

struct Machine {
    config: Config,
    output: Output,
    daemon: Kept,
    services: Kept,
    supervisor: Client,
    /// Told of each line that supervisord prints.
    spoke: Arc<Notify>,
    /// Told of a press of the power button.
    switched: Arc<Notify>,
    clearing: Option<Clearing>,
    tasks: TaskTracker,
    /// The stop has begun.
    stopping: CancellationToken,
    /// Both programs, and all that they started, are gone.
    stopped: CancellationToken,
}

impl Machine {
    fn new(config: Config, output: Output) -> Self {
        Self {
            daemon: Kept::new(config.daemon.clone()),
            services: Kept::new(config.services.clone()),
            supervisor: Client::new(&config.supervisor_socket),
            config,
            output,
            spoke: Arc::default(),
            switched: Arc::default(),
            clearing: None,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
        }
    }

    async fn live(mut self, mut signals: Signals) -> u8 {
        let begun = Instant::now();
        let hold = Hold::take(&self.config.scale_to_zero_file);
        if machine::is_first() {
            network::bring_up_loopback();
        } else if let Err(error) = set_child_subreaper(true) {
            tracing::warn!(%error, "orphans of this machine are not reaped");
        }
        if hardware::is_own() {
            hardware::set_up();
            self.watch_buttons();
        }
        // Before anything that takes time: it answers while the rest comes up.
        self.start_daemon();
        self.announce_readiness(begun, hold);
        machine::prepare(&self.config);
        self.gather_services();
        self.start_services();

        let why = self.watch(&mut signals).await;
        let code = match why {
            Why::Asked(by) => {
                tracing::info!(by, "stopping");
                0
            }
            Why::Hopeless(code) => {
                tracing::error!("the daemon cannot work like this, stopping");
                code
            }
        };
        self.stopping.cancel();
        let stopping = Stopping {
            daemon: &mut self.daemon,
            services: &mut self.services,
            supervisor: &self.supervisor,
            child: &mut signals.child,
        };
        stopping.run().await;
        self.stopped.cancel();
        self.tasks.close();
        // A reader of stdout that stalls shall not keep the machine.
        let _ = timeout(LAST_LINES, self.tasks.wait()).await;
        code
    }

    /// Keeps both programs running until there is a reason to stop.
    async fn watch(&mut self, signals: &mut Signals) -> Why {
        loop {
            let next = self.next_step();
            tokio::select! {
                // A request to stop comes before any other work.
                biased;
                _ = signals.terminate.recv() => return Why::Asked("SIGTERM"),
                _ = signals.interrupt.recv() => return Why::Asked("SIGINT"),
                () = self.switched.notified() => return Why::Asked("the power button"),
                _ = signals.child.recv() => {
                    if let Some(code) = self.reap() {
                        return Why::Hopeless(code);
                    }
                }
                () = sleep_until(next.unwrap_or_else(Instant::now).into()), if next.is_some() => {}
            }
            self.clear();
            let now = Instant::now();
            if self.daemon.due().is_some_and(|due| due <= now) {
                self.start_daemon();
            }
            if self.clearing.is_none() && self.services.due().is_some_and(|due| due <= now) {
                self.start_services();
            }
        }
    }

    /// When something has to be done although nothing happens.
    fn next_step(&self) -> Option<Instant> {
        let clearing = self.clearing.as_ref().map(|clearing| clearing.deadline);
        let services = clearing.or_else(|| self.services.due());
        [self.daemon.due(), services].into_iter().flatten().min()
    }

    /// Reaps what has ended. Returns an exit code when there is no hope.
    fn reap(&mut self) -> Option<u8> {
        while let Reaped::One(pid, how) = children::reap() {
            if self.daemon.pid() == Some(pid) {
                self.daemon.ended(how);
                if let Some(code) = self.daemon.hopeless(how) {
                    return Some(code);
                }
            } else if self.services.pid() == Some(pid) {
                self.services.ended(how);
                self.clearing = Some(Clearing {
                    asked: Vec::new(),
                    deadline: Instant::now() + LEFTOVERS,
                });
            }
        }
        None
    }

    /// The programs of a supervisord that died are orphans now, and so are their children when
    /// they end. All have to go before the next one starts its own: the X server last, since its
    /// clients do not survive it.
    fn clear(&mut self) {
        let leftovers = self.leftovers();
        let Some(clearing) = &mut self.clearing else {
            return;
        };
        let now = Instant::now();
        if leftovers.is_empty() {
            self.clearing = None;
        } else if now >= clearing.deadline || leftovers.iter().all(Orphan::is_x_server) {
            for orphan in &leftovers {
                orphan.signal(Signal::SIGKILL);
            }
            // The kernel tells of their end by SIGCHLD.
            clearing.deadline = now + LEFTOVERS;
        } else {
            for orphan in leftovers {
                if !orphan.is_x_server() && !clearing.asked.contains(&orphan.pid) {
                    orphan.signal(Signal::SIGTERM);
                    clearing.asked.push(orphan.pid);
                }
            }
        }
    }

    fn leftovers(&self) -> Vec<Orphan> {
        children::orphans(&[self.daemon.pid(), self.services.pid()])
    }

    fn start_daemon(&mut self) {
        let source = self
            .output
            .source("browserd", self.config.daemon.structured);
        if let Some(printed) = self.daemon.start() {
            // Nobody listens: what the daemon says is of no meaning here.
            self.tasks
                .spawn(gather::drain(printed, source, Arc::default()));
        }
    }

    fn start_services(&mut self) {
        let source = self.output.source("supervisord", false);
        if let Some(printed) = self.services.start() {
            self.tasks
                .spawn(gather::drain(printed, source, self.spoke.clone()));
        }
    }

    fn watch_buttons(&self) {
        for device in power::devices(Path::new("/dev/input")) {
            let stopping = self.stopping.clone();
            let watching = power::watch(device, self.switched.clone());
            self.tasks.spawn(async move {
                if let Some(Err(error)) = stopping.run_until_cancelled(watching).await {
                    tracing::warn!(%error, "a power button is not watched any more");
                }
            });
        }
    }

    fn gather_services(&self) {
        let gatherer = Gatherer {
            supervisor: self.supervisor.clone(),
            spoke: self.spoke.clone(),
            output: self.output.clone(),
            places: Places::of(Path::new(&self.config.log_dir)),
            tasks: self.tasks.clone(),
            stopping: self.stopping.clone(),
            stopped: self.stopped.clone(),
        };
        self.tasks.spawn(gatherer.run());
    }

    fn announce_readiness(&self, begun: Instant, mut hold: Hold) {
        let (api, devtools) = (self.config.api, self.config.devtools);
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            if stopping
                .run_until_cancelled(ready::wait(api, devtools))
                .await
                .is_some()
            {
                hold.release();
                let duration_ms = begun.elapsed().as_secs_f64() * 1000.0;
                tracing::info!(duration_ms, "ready");
            }
        });
    }
}
