//! What a failing test leaves to be read: the ends of the logs of the stacks that it used.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::FutureExt as _;

/// Bytes shown of each log.
const TAIL: i64 = 6 * 1024;

tokio::task_local! {
    static CASE: Arc<Mutex<Vec<Source>>>;
}

#[derive(Debug)]
enum Source {
    /// Logs that still exist when the test has ended.
    Lasting(PathBuf),
    /// The ends of logs that went with their stack.
    Gone(String),
}

/// What the machine lacks for a test. Returned as a test's error, it skips the test.
#[derive(Debug)]
pub struct Lacking(pub String);

impl std::fmt::Display for Lacking {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "this machine lacks {}", self.0)
    }
}

impl std::error::Error for Lacking {}

/// How a test went.
#[derive(Debug)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It could not be run, for this reason.
    Skipped(String),
    /// It failed or panicked; the text holds the ends of the logs.
    Failed(String),
}

/// Runs a test.
pub async fn run(test: impl Future<Output = anyhow::Result<()>>) -> Verdict {
    let sources = Arc::new(Mutex::new(Vec::new()));
    let outcome = CASE
        .scope(Arc::clone(&sources), AssertUnwindSafe(test).catch_unwind())
        .await;
    let failure = match outcome {
        Ok(Ok(())) => return Verdict::Passed,
        Ok(Err(error)) if error.is::<Lacking>() => return Verdict::Skipped(error.to_string()),
        Ok(Err(error)) => format!("{error:?}"),
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "panicked".to_owned()),
    };
    let mut report = failure;
    for source in sources
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
    {
        report.push_str(&match source {
            Source::Lasting(folder) => tails(folder),
            Source::Gone(ends) => ends.clone(),
        });
    }
    Verdict::Failed(report)
}

/// Notes that the test uses a stack that outlives it.
pub(crate) fn uses(logs: &Path) {
    note(|| Source::Lasting(logs.to_owned()));
}

/// Keeps the ends of logs that are about to be deleted.
pub(crate) fn leaves(logs: &Path) {
    note(|| Source::Gone(tails(logs)));
}

fn note(source: impl FnOnce() -> Source) {
    // Outside of a test, as in the bench, nobody asks.
    let _ = CASE.try_with(|sources| {
        sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(source());
    });
}

fn tails(folder: &Path) -> String {
    let mut text = String::new();
    let mut paths: Vec<PathBuf> = folder
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    // supervisord writes its log to its output too, which is among the files.
    paths.retain(|path| !path.ends_with("supervisord.log"));
    paths.sort();
    for path in paths {
        let tail = tail(&path).unwrap_or_else(|error| error.to_string());
        text.extend(["\n--- ", &path.display().to_string(), " ---\n", &tail]);
    }
    text
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
    file.seek(SeekFrom::End(-length.min(TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
