//! What the tests share.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use browserd_devtools::Endpoint;
use browserd_devtools::upstream::{self, Source, Status, Upstream};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Longer than a busy machine needs; reached only when something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An upstream with its task, which ends with it.
pub(crate) struct Watched {
    upstream: Upstream,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Watched {
    pub(crate) fn new(source: Source) -> Self {
        let stop = CancellationToken::new();
        let (upstream, task) = upstream::spawn(source, stop.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        Self {
            upstream,
            stop,
            tasks,
        }
    }

    pub(crate) fn log(path: &Path) -> Self {
        Self::new(Source::Log(path.to_owned()))
    }

    pub(crate) fn fixed(url: &str) -> Self {
        Self::new(Source::Fixed(url.parse().unwrap()))
    }

    /// The endpoint, which is there or soon will be.
    pub(crate) async fn up(&self) -> Arc<Endpoint> {
        self.upstream.wait(PATIENCE).await.unwrap()
    }

    /// Wait until the endpoint has this path.
    pub(crate) async fn leads_to(&self, id: &str) -> Arc<Endpoint> {
        let path = format!("/devtools/browser/{id}");
        self.eventually(|| self.current().is_some_and(|now| now.browser_path() == path))
            .await;
        self.current().unwrap()
    }

    pub(crate) async fn goes_down(&self) -> Status {
        self.eventually(|| !self.status().up).await;
        self.status()
    }

    pub(crate) async fn says(&self, words: &str) {
        self.eventually(|| self.status().detail.contains(words))
            .await;
    }

    pub(crate) async fn eventually(&self, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(
                start.elapsed() < PATIENCE,
                "it never came; status: {:?}",
                self.status()
            );
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Cancel, and wait for the task.
    pub(crate) async fn stop(mut self) -> Upstream {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.upstream
    }
}

impl Deref for Watched {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

pub(crate) fn scratch() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chromium");
    (dir, path)
}

pub(crate) fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_ref()).unwrap();
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// What Chromium writes when it listens. The id is that of a browser long gone.
pub(crate) fn line(port: u16) -> String {
    format!("DevTools listening on ws://127.0.0.1:{port}/devtools/browser/stale\n")
}
