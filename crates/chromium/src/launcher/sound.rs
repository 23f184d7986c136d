//! Waiting for the sound server. A Chromium that finds none takes to playing into nothing, and does
//! not look again.

use std::{
    ffi::OsString,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use super::pause;

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until the sound server of `PULSE_SERVER` can be connected to, where that is a socket of
/// this machine. Without one the browser is silent, which is no reason not to start it.
pub(super) fn wait(variables: &[(OsString, OsString)]) {
    let server = variables.iter().find(|(name, _)| name == "PULSE_SERVER");
    let Some(socket) = server.and_then(|(_, at)| at.to_str()?.strip_prefix("unix:")) else {
        return;
    };
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = UnixStream::connect(socket) {
        if Instant::now() >= deadline {
            tracing::warn!(socket, %error, "there is no sound server: pages play into nothing");
            return;
        }
        pause();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_server_that_comes_up_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("native");
        let variables = [(
            OsString::from("PULSE_SERVER"),
            format!("unix:{}", socket.display()).into(),
        )];
        let waiting = std::thread::spawn(move || {
            wait(&variables);
            Instant::now()
        });
        let bound = Instant::now();
        let _listener = UnixListener::bind(&socket).unwrap();
        assert!(waiting.join().unwrap() > bound);
        // One that is elsewhere, or none, is nobody's to wait for.
        wait(&[("PULSE_SERVER".into(), "tcp:10.0.0.1".into())]);
        wait(&[]);
    }
}
