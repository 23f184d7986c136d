//! The calls.

use std::{path::PathBuf, time::Duration};

use crate::{
    Error, Process, State, transport,
    xml::{self, Argument, Value},
};

/// How long supervisord may take for what it answers at once. It has one thread.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to see a program through a start or a stop: longer than any
/// `stopwaitsecs` of ours.
const WAIT_PATIENCE: Duration = Duration::from_secs(30);

/// A client of one supervisord. Each call opens a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the supervisord that listens on that unix socket; nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The state of supervisord itself.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect on supervisord.
    pub async fn state(&self) -> Result<State, Error> {
        let reply = self.call("supervisor.getState", &[], PATIENCE).await?;
        State::from_reply(&reply)
    }

    /// Every program.
    ///
    /// # Cancel safety
    /// As [`Self::state`].
    pub async fn processes(&self) -> Result<Vec<Process>, Error> {
        let reply = self
            .call("supervisor.getAllProcessInfo", &[], PATIENCE)
            .await?;
        reply.items()?.iter().map(Process::from_reply).collect()
    }

    /// One program, by `name` or `group:name`.
    ///
    /// # Cancel safety
    /// As [`Self::state`].
    pub async fn process(&self, name: &str) -> Result<Process, Error> {
        let arguments = [Argument::Text(name)];
        let reply = self
            .call("supervisor.getProcessInfo", &arguments, PATIENCE)
            .await;
        Process::from_reply(&reply.map_err(|error| error.about(name))?)
    }

    /// Starts a program. With `wait` it returns once the program has lived for its
    /// `startsecs`.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the start back.
    pub async fn start(&self, name: &str, wait: bool) -> Result<(), Error> {
        self.change("supervisor.startProcess", name, wait).await
    }

    /// Stops a program. With `wait` it returns once the program has ended.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the stop back.
    pub async fn stop(&self, name: &str, wait: bool) -> Result<(), Error> {
        self.change("supervisor.stopProcess", name, wait).await
    }

    /// Stops a program, waits for its end, and starts it again; one that does not run is
    /// started. `wait` is about the start.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the program stopped.
    pub async fn restart(&self, name: &str, wait: bool) -> Result<(), Error> {
        match self.stop(name, true).await {
            Ok(()) | Err(Error::NotRunning(_)) => {}
            Err(error) => return Err(error),
        }
        match self.start(name, wait).await {
            // It had ended by itself, and supervisord was faster.
            Err(Error::AlreadyStarted(_)) => Ok(()),
            started => started,
        }
    }

    async fn change(&self, method: &str, name: &str, wait: bool) -> Result<(), Error> {
        let patience = if wait { WAIT_PATIENCE } else { PATIENCE };
        let arguments = [Argument::Text(name), Argument::Flag(wait)];
        let reply = self.call(method, &arguments, patience).await;
        // It answers true, or with a fault.
        reply.map(|_| ()).map_err(|error| error.about(name))
    }

    async fn call(
        &self,
        method: &str,
        arguments: &[Argument<'_>],
        patience: Duration,
    ) -> Result<Value, Error> {
        let call = xml::call(method, arguments)?;
        let reply = tokio::time::timeout(patience, transport::post(&self.socket, call)).await;
        xml::reply(&reply.map_err(|_| Error::Silent(patience))??)
    }
}
