//! The gauges and counters behind `/metrics`.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use browserd_blocking::Pool;
use http::Method;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Labels of the request counter. A route is its pattern, never the path: paths are
/// without bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    listener: &'static str,
    method: &'static str,
    route: String,
    status: u16,
}

/// Labels of the counter of ended sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    ended_by: &'static str,
}

/// Labels of what a pool of threads does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
}

/// A handle on everything that is counted.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    sessions: Gauge,
    ended: Family<EndLabels, Counter>,
    to_client: Counter,
    to_upstream: Counter,
    up: Gauge,
    generation: Gauge,
    tasks: Gauge,
    blocking: Blocking,
}

/// The threads of what blocks.
#[derive(Default)]
struct Blocking {
    busy: Family<PoolLabels, Gauge>,
    stuck: Family<PoolLabels, Gauge>,
    queued: Family<PoolLabels, Gauge>,
    refused: Family<PoolLabels, Counter>,
}

/// One open DevTools session, counted while it lives.
#[derive(Debug)]
pub(crate) struct Session(Gauge);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Registers everything under the prefix `browserd_`.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("browserd");
        let requests = Family::default();
        registry.register("http_requests", "HTTP requests answered", requests.clone());
        let sessions = Gauge::default();
        registry.register(
            "cdp_sessions",
            "DevTools sessions open now",
            sessions.clone(),
        );
        let ended = Family::default();
        registry.register(
            "cdp_sessions_ended",
            "DevTools sessions ended, by cause",
            ended.clone(),
        );
        let to_client = Counter::default();
        registry.register(
            "cdp_to_client_bytes",
            "Bytes relayed to clients",
            to_client.clone(),
        );
        let to_upstream = Counter::default();
        registry.register(
            "cdp_to_upstream_bytes",
            "Bytes relayed to Chromium",
            to_upstream.clone(),
        );
        let up = Gauge::default();
        registry.register(
            "devtools_up",
            "1 while Chromium's endpoint is proven",
            up.clone(),
        );
        let generation = Gauge::default();
        registry.register(
            "devtools_generation",
            "How many endpoints have been proven since the start",
            generation.clone(),
        );
        let tasks = Gauge::default();
        registry.register("tasks_alive", "Tasks of the runtime", tasks.clone());
        let blocking = Blocking::register(&mut registry);
        Self(Arc::new(Inner {
            registry,
            requests,
            sessions,
            ended,
            to_client,
            to_upstream,
            up,
            generation,
            tasks,
            blocking,
        }))
    }

    /// Counts an answered request.
    pub(crate) fn request(
        &self,
        listener: &'static str,
        method: &Method,
        route: Option<&str>,
        status: u16,
    ) {
        let route = route.unwrap_or("other").to_owned();
        let labels = RequestLabels {
            listener,
            method: known(method),
            route,
            status,
        };
        self.0.requests.get_or_create(&labels).inc();
    }

    /// Counts a session as open until the guard is dropped.
    pub(crate) fn session(&self) -> Session {
        self.0.sessions.inc();
        Session(self.0.sessions.clone())
    }

    /// Counts an ended session and its bytes.
    pub(crate) fn session_ended(&self, ended_by: &'static str, to_client: u64, to_upstream: u64) {
        self.0.ended.get_or_create(&EndLabels { ended_by }).inc();
        self.0.to_client.inc_by(to_client);
        self.0.to_upstream.inc_by(to_upstream);
    }

    /// The text format of Prometheus, with the state of the upstream as it is now.
    pub(crate) fn render(
        &self,
        up: bool,
        generation: u64,
        pools: &[&Pool],
    ) -> Result<String, fmt::Error> {
        self.0.up.set(up.into());
        self.0
            .generation
            .set(generation.try_into().unwrap_or(i64::MAX));
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        self.0.tasks.set(tasks.try_into().unwrap_or(i64::MAX));
        for pool in pools {
            self.0.blocking.set(pool);
        }
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

impl Blocking {
    fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        for (name, help, gauges) in [
            (
                "blocking_busy",
                "Threads that are in a call that may block",
                &all.busy,
            ),
            (
                "blocking_stuck",
                "Those of them that nobody waits for any more",
                &all.stuck,
            ),
            (
                "blocking_queued",
                "Calls that wait for a thread",
                &all.queued,
            ),
        ] {
            registry.register(name, help, gauges.clone());
        }
        let help = "Calls refused because too many waited or hung";
        registry.register("blocking_refused", help, all.refused.clone());
        all
    }

    fn set(&self, pool: &Pool) {
        let counts = pool.counts();
        let labels = PoolLabels { pool: pool.name() };
        for (gauges, count) in [
            (&self.busy, counts.busy),
            (&self.stuck, counts.stuck),
            (&self.queued, counts.queued),
        ] {
            let count = count.try_into().unwrap_or(i64::MAX);
            gauges.get_or_create(&labels).set(count);
        }
        let refused = self.refused.get_or_create(&labels);
        refused.inner().store(counts.refused, Ordering::Relaxed);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The method as a label: a client can send any word.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
