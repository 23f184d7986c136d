//! An X server of the test's own.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use browserd_display::Display;
use tokio::process::{Child, Command};

/// How long something may take that has to happen at last, on a slow machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An X server that ends with its test.
pub(crate) struct Xvfb {
    pub(crate) child: Child,
    pub(crate) number: u16,
}

impl Xvfb {
    /// Starts one on a display number that it picks itself.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-noreset", "-ac", "-nolisten", "tcp"])
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let number = first_line(reader).await.trim().parse().unwrap();
        Self { child, number }
    }

    /// Starts one with a screen of 640x480.
    pub(crate) async fn small() -> Self {
        Self::start(&["-screen", "0", "640x480x24"]).await
    }

    pub(crate) fn display(&self) -> Display {
        Display::new(self.number)
    }

    pub(crate) fn name(&self) -> String {
        format!(":{}", self.number)
    }

    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Ends it, and starts another one with the same number.
    pub(crate) async fn restart(&mut self, arguments: &[&str]) {
        self.kill().await;
        let (reader, writer) = std::io::pipe().unwrap();
        self.child = Command::new("Xvfb")
            .arg(self.name())
            .args(["-displayfd", "1", "-noreset", "-ac", "-nolisten", "tcp"])
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        assert_eq!(first_line(reader).await.trim(), self.number.to_string());
    }
}

async fn first_line(reader: std::io::PipeReader) -> String {
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).unwrap();
        line
    });
    line.await.unwrap()
}

/// Asks again and again until the answer is yes.
pub(crate) async fn eventually(what: &str, mut yes: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !yes().await {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
