//! Collects chunks into groups that are worth a turn on a blocking thread.

use std::{path::Path, sync::Arc};

use browserd_blocking::{Pool, Work};
use bytes::Bytes;

use crate::{Error, Result};

/// Chunks are handed to the disk in groups of about this size. Two groups are held at most: one
/// that is being written and one that fills.
const GROUP_BYTES: usize = 512 * 1024;
/// A group has no more chunks than one system call takes.
const GROUP_CHUNKS: usize = 1024;

/// Where groups of chunks go, one after the other.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Writes all of them. This blocks.
    fn write_all(&self, chunks: &[Bytes]) -> Result<()>;
    /// The file, for errors.
    fn path(&self) -> &Path;
}

/// A sink and what is on its way to it.
#[derive(Debug)]
pub(crate) struct Grouped<S: Sink> {
    /// Gone after an error.
    sink: Option<Arc<S>>,
    group: Vec<Bytes>,
    group_bytes: usize,
    in_flight: Option<Work<Result<()>>>,
    pool: Pool,
}

impl<S: Sink> Grouped<S> {
    pub(crate) fn new(sink: S, pool: &Pool) -> Self {
        Self {
            sink: Some(Arc::new(sink)),
            group: Vec::new(),
            group_bytes: 0,
            in_flight: None,
            pool: pool.clone(),
        }
    }

    /// The threads that write.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Takes a chunk; waits while the disk is a whole group behind.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.group_bytes += chunk.len();
        self.group.push(chunk);
        if self.group_bytes >= GROUP_BYTES || self.group.len() >= GROUP_CHUNKS {
            self.settle().await?;
            let sink = self.sink.clone().ok_or(Error::BrokenOff)?;
            let group = std::mem::take(&mut self.group);
            self.group_bytes = 0;
            let place = sink.path().to_owned();
            let work = move || sink.write_all(&group);
            self.in_flight = Some(self.pool.run(place, work));
        }
        Ok(())
    }

    /// Waits for what is on its way, and gives back the sink and the chunks that it has not yet.
    pub(crate) async fn finish(mut self) -> Result<(S, Vec<Bytes>)> {
        self.settle().await?;
        let sink = self.sink.take().and_then(Arc::into_inner);
        Ok((
            sink.ok_or(Error::BrokenOff)?,
            std::mem::take(&mut self.group),
        ))
    }

    async fn settle(&mut self) -> Result<()> {
        let Some(in_flight) = &mut self.in_flight else {
            return Ok(());
        };
        let done = in_flight.await;
        self.in_flight = None;
        let done = done.unwrap_or_else(|error| Err(Error::NoAnswer(error)));
        if done.is_err() {
            self.drop_sink();
        }
        done
    }

    /// Removing a large file takes a while, which a runtime's thread does not have.
    fn drop_sink(&mut self) {
        if let Some(sink) = self.sink.take() {
            self.pool.let_go(sink.path().to_owned(), sink);
        }
    }
}

impl<S: Sink> Drop for Grouped<S> {
    fn drop(&mut self) {
        self.drop_sink();
    }
}
