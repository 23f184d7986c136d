//! The display against a real Xvfb, seen from outside with xdpyinfo and xrandr.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use browserd_display::{Display, Error, Size};
use tokio::process::{Child, Command};

/// An X server on a display number that it picked itself.
struct Xvfb {
    child: Child,
    number: u16,
}

impl Xvfb {
    async fn start(arguments: &[&str]) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-noreset", "-ac", "-nolisten", "tcp"])
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(reader).read_line(&mut line).unwrap();
            line
        });
        let number = line.await.unwrap().trim().parse().unwrap();
        Self { child, number }
    }

    async fn large() -> Self {
        Self::start(&["-screen", "0", "3840x2160x24"]).await
    }

    fn display(&self) -> Display {
        Display::new(self.number)
    }

    async fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command
            .args(["-display", &format!(":{}", self.number)])
            .args(arguments);
        let output = command.stdin(Stdio::null()).output().await.unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The size as other programs see it.
    async fn seen_size(&self) -> (String, String) {
        let info = self.ask("xdpyinfo", &[]).await;
        let dimensions = info
            .lines()
            .find(|line| line.contains("dimensions:"))
            .unwrap();
        let pixels = dimensions.split_whitespace().nth(1).unwrap().to_owned();
        let modes = self.ask("xrandr", &["--current"]).await;
        let current = modes
            .lines()
            .find(|line| line.contains('*'))
            .unwrap()
            .trim()
            .to_owned();
        (pixels, current)
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(
            kill.args(["-s", name, &pid])
                .spawn()
                .unwrap()
                .wait()
                .unwrap()
                .success()
        );
    }
}

fn size(width: u16, height: u16, refresh: u16) -> Size {
    Size {
        width,
        height,
        refresh,
    }
}

#[tokio::test]
async fn the_screen_takes_every_size_without_a_restart() {
    let xvfb = Xvfb::large().await;
    let display = xvfb.display();
    // Growing, shrinking, and one side each way: the order of the requests differs.
    for wanted in [
        size(1920, 1080, 60),
        size(1080, 1920, 60),
        size(320, 240, 10),
        size(3840, 2160, 60),
        size(390, 844, 25),
        size(1920, 1080, 60),
        size(1920, 1080, 30),
    ] {
        display.set_size(wanted).await.unwrap();
        assert_eq!(display.size().await.unwrap(), wanted);
        let (pixels, mode) = xvfb.seen_size().await;
        assert_eq!(pixels, format!("{}x{}", wanted.width, wanted.height));
        assert!(mode.starts_with(&format!("browserd-{wanted}")), "{mode}");
        assert!(mode.contains(&format!("{}.00*", wanted.refresh)), "{mode}");
    }
    let modes = xvfb.ask("xrandr", &["--current"]).await;
    assert_eq!(modes.matches("browserd-").count(), 1, "{modes}");
}

#[tokio::test]
async fn the_initial_size_is_set_once_in_the_life_of_a_server() {
    let xvfb = Xvfb::large().await;
    let display = xvfb.display();
    let initial = |width, height| {
        let display = display.clone();
        let patience = Duration::from_secs(5);
        tokio::task::spawn_blocking(move || {
            display
                .connect(patience)
                .unwrap()
                .set_initial_size(width, height)
                .unwrap()
        })
    };
    assert!(initial(1280, 720).await.unwrap());
    assert_eq!(xvfb.seen_size().await.0, "1280x720");
    display.set_size(size(800, 600, 60)).await.unwrap();
    assert!(!initial(1280, 720).await.unwrap());
    assert_eq!(xvfb.seen_size().await.0, "800x600");
    assert!(
        xvfb.ask("xprop", &["-root"])
            .await
            .contains("_BROWSERD_SCREEN_SIZE")
    );
}

#[tokio::test]
async fn a_size_out_of_range_is_refused_and_named() {
    let display = Display::new(u16::MAX);
    for (wanted, text) in [
        (size(319, 600, 60), "width 319 is not between 320 and 3840"),
        (
            size(3841, 600, 60),
            "width 3841 is not between 320 and 3840",
        ),
        (size(800, 239, 60), "height 239 is not between 240 and 2160"),
        (
            size(800, 2161, 60),
            "height 2161 is not between 240 and 2160",
        ),
        (size(800, 600, 0), "refresh rate 0 is not between 1 and 240"),
    ] {
        assert_eq!(
            display.set_size(wanted).await.unwrap_err().to_string(),
            text
        );
    }
}

#[tokio::test]
async fn a_screen_that_is_too_small_keeps_its_size() {
    let xvfb = Xvfb::start(&["-screen", "0", "800x600x24"]).await;
    for before in [size(800, 600, 60), size(640, 480, 60)] {
        xvfb.display().set_size(before).await.unwrap();
        for too_large in [size(1920, 1080, 60), size(320, 700, 60), size(801, 300, 60)] {
            let error = xvfb.display().set_size(too_large).await.unwrap_err();
            assert!(matches!(error, Error::Request { .. }), "{error:?}");
            assert_eq!(xvfb.display().size().await.unwrap(), before);
            // The refused mode is not left behind.
            let modes = xvfb.ask("xrandr", &["--current"]).await;
            assert_eq!(modes.matches("browserd-").count(), 1, "{modes}");
        }
    }
}

#[tokio::test]
async fn a_server_without_randr_is_told_from_one_that_fails() {
    let xvfb = Xvfb::start(&["-screen", "0", "800x600x24", "-extension", "RANDR"]).await;
    assert_eq!(xvfb.display().size().await.unwrap(), size(800, 600, 0));
    let error = xvfb
        .display()
        .set_size(size(640, 480, 60))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoRandr), "{error:?}");
}

#[tokio::test]
async fn a_missing_a_stopped_and_a_killed_server_are_noticed() {
    let mut xvfb = Xvfb::large().await;
    let display = xvfb.display();
    display.probe().await.unwrap();

    xvfb.signal("STOP");
    let patience = Duration::from_millis(300);
    let asked = Instant::now();
    let stopped = tokio::task::spawn_blocking({
        let display = display.clone();
        move || display.connect(patience)
    });
    let error = stopped.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error:?}");
    assert!(asked.elapsed() >= patience && asked.elapsed() < patience * 10);
    xvfb.signal("CONT");
    display.probe().await.unwrap();

    xvfb.child.kill().await.unwrap();
    let error = display.probe().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("cannot reach the X server of display {}", display.name())
    );
}

#[tokio::test]
async fn a_stopped_server_with_a_full_queue_does_not_block() {
    let xvfb = Xvfb::large().await;
    let display = xvfb.display();
    xvfb.signal("STOP");
    let path = format!("/tmp/.X11-unix/X{}", xvfb.number);
    let mut held = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(
        Duration::from_millis(100),
        tokio::net::UnixStream::connect(&path),
    )
    .await
    {
        held.push(stream);
    }
    let asked = tokio::task::spawn_blocking(move || {
        (Instant::now(), display.connect(Duration::from_millis(300)))
    });
    let (start, result) = asked.await.unwrap();
    assert!(matches!(result, Err(Error::Silent { .. })), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(3));
    xvfb.signal("CONT");
}
