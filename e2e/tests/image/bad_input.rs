//! What is wrong with the way in which a machine is run is told in its log.

use std::time::Duration;

use anyhow::ensure;
use browserd_e2e::{
    assert_eventually,
    container::{Builder, Container, Volume},
};

use crate::Image;

/// How long a container may take to say something on a quiet machine.
const START: Duration = Duration::from_secs(30);

/// Each ends the container at once, with one line.
pub(crate) async fn a_wrong_setting_is_told(image: Image) -> anyhow::Result<()> {
    for (name, value, told) in [
        ("WIDTH", "abc", "it takes a number of pixels"),
        ("TZ", "Mars/Phobos", "it takes the name of a time zone"),
        (
            "BROWSER_DATA_DIR",
            "data",
            "it takes a path that begins with /",
        ),
        ("METRICS_PORT", "10001", "PORT has that port"),
        ("INTERNAL_PORT", "9222", "DEVTOOLS_PROXY_PORT has that port"),
    ] {
        refuses(
            &Builder::new(&image).env(name, value),
            &format!("{name}={value}"),
            told,
        )
        .await?;
    }
    Ok(())
}

pub(crate) async fn a_window_manager_that_is_not_there_is_told(image: Image) -> anyhow::Result<()> {
    if image.contains("headful") {
        return Ok(());
    }
    let builder = Builder::new(&image).env("WINDOW_MANAGER", "true");
    refuses(
        &builder,
        "WINDOW_MANAGER=true",
        "there is no window manager here",
    )
    .await
}

/// It ends at once where it could never work, and works on what is merely unusual.
pub(crate) async fn what_it_needs_is_told(image: Image) -> anyhow::Result<()> {
    for (option, told) in [
        ("--user=1234", "run the machine as root, without --user"),
        ("--pids-limit=100", "give it a larger --pids-limit"),
    ] {
        let container = Builder::new(&image).option(option).start_unready().await?;
        assert_eventually!(within: START, "the container has ended",
            container.inspect("{{.State.Status}}").await? == "exited");
        let logs = container.logs().await?;
        ensure!(
            logs.starts_with("browserd: ") && logs.contains(told),
            "{logs}"
        );
    }
    let home = Builder::new(&image)
        .option("--tmpfs=/home/kernel")
        .start()
        .await?;
    let mut browser = home.at().await?.browser().await?;
    browser.open("about:blank").await?;
    Ok(())
}

/// With the machine's network, displays of other containers are seen too.
pub(crate) async fn a_display_of_another_machine_is_told(image: Image) -> anyhow::Result<()> {
    const TAKE: &str = "python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); \
        s.bind(\"\\0/tmp/.X11-unix/X1\"); s.listen(); time.sleep(1000)' & \
        until grep --quiet @/tmp/.X11-unix/X1 /proc/net/unix; do sleep 0.05; done; \
        exec browserd init";
    let container = Builder::new(&image)
        .option("--entrypoint=sh")
        .argument("-c")
        .argument(TAKE)
        .start_unready()
        .await?;
    assert_eventually!(within: START, "the log tells of it", {
        let logs = container.logs().await?;
        ensure!(logs.contains("another X server has the display :1"), "{logs}");
    });
    // The first process ends what it did not start, and so the one in the way.
    container.ready().await.map(drop)
}

/// Whether the container ends with that line.
async fn refuses(builder: &Builder, setting: &str, told: &str) -> anyhow::Result<()> {
    let container = builder.clone().start_unready().await?;
    assert_eventually!(
        within: START,
        "the container has ended",
        container.inspect("{{.State.Status}}").await? == "exited"
    );
    assert_eq!(container.inspect("{{.State.ExitCode}}").await?, "64");
    let logs = container.logs().await?;
    let line = format!("browserd: {setting} cannot be used: ");
    ensure!(
        logs.starts_with(&line) && logs.contains(told) && logs.lines().count() == 1,
        "{logs}"
    );
    Ok(())
}

/// What an engine gives by default, or nothing at all.
pub(crate) async fn little_shared_memory_will_do(image: Image) -> anyhow::Result<()> {
    const MUCH: &str = "(() => { for (let n = 0; n < 20; n++) { \
        const canvas = document.createElement('canvas'); canvas.width = canvas.height = 2000; \
        canvas.getContext('2d').fillRect(0, 0, 2000, 2000); document.body.append(canvas); } \
        return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => \
        done(document.querySelectorAll('canvas').length)))); })()";
    for option in ["--shm-size=64m", "--ipc=none"] {
        let container = Builder::new(&image).option(option).start().await?;
        let mut browser = container.at().await?.browser().await?;
        let (_, session) = browser.open("about:blank").await?;
        assert_eq!(browser.evaluate(&session, MUCH).await?, 20, "{option}");
        let logs = container.logs().await?;
        ensure!(!logs.contains("--shm-size"), "{logs}");
    }
    Ok(())
}

/// It fills while the browser runs, and with room again all is well, without a restart.
pub(crate) async fn a_full_volume_is_told(image: Image) -> anyhow::Result<()> {
    const FILL: &str = "head --bytes=400M /dev/zero >/home/kernel/user-data/filler";
    let container = Builder::new(&image)
        .option("--tmpfs=/home/kernel/user-data:size=300m,mode=755")
        .start()
        .await?;
    container
        .run(&["sh", "-c", &format!("{FILL}; true")])
        .await?;
    let detail = container.lacks("disk").await?;
    ensure!(
        detail.contains("MiB free on /home/kernel/user-data"),
        "{detail}"
    );
    container
        .run(&["rm", "/home/kernel/user-data/filler"])
        .await?;
    container.ready().await.map(drop)
}

/// A machine that starts with it says so as well.
pub(crate) async fn a_volume_without_room_is_told(image: Image) -> anyhow::Result<()> {
    let builder = Builder::new(&image).option("--tmpfs=/home/kernel/user-data:size=1m");
    let container = builder.start_unready().await?;
    assert_eventually!(
        within: START,
        "the log tells of it",
        container
            .logs()
            .await?
            .contains("the volume of the profile is full")
    );
    let detail = container.lacks("disk").await?;
    ensure!(
        detail.contains("free on /home/kernel/user-data"),
        "{detail}"
    );
    Ok(())
}

/// What is in it stays, and the lock that a dead host left goes.
pub(crate) async fn a_volume_of_root_with_a_dead_lock_is_taken(image: Image) -> anyhow::Result<()> {
    const PREPARE: &str = "cd /home/kernel/user-data && mkdir -p Default && echo kept >Default/note \
        && ln -s another-host-12345 SingletonLock && chown -R root: . && chmod 700 .";
    let volume = Volume::new().await?;
    let prepare = Builder::new(&image)
        .user_data(&volume)
        .option("--entrypoint=sh")
        .argument("-c")
        .argument(PREPARE);
    assert_eq!(prepare.start_unready().await?.ended().await?, "0");
    let container = Builder::new(&image).user_data(&volume).start().await?;
    let logs = container.logs().await?;
    for told in [
        "handing the profile over",
        "removing the lock of a Chromium that is gone",
        "another-host-12345",
    ] {
        ensure!(logs.contains(told), "no {told:?} in {logs}");
    }
    let note = "stat --format=%U Default/note; cat Default/note";
    let note = format!("cd /home/kernel/user-data && {note}");
    assert_eq!(container.run(&["sh", "-c", &note]).await?, "kernel\nkept\n");
    Ok(())
}

/// Chromium's own port is somebody else's at first.
pub(crate) async fn a_port_in_use_is_told_and_waited_for(image: Image) -> anyhow::Result<()> {
    const TAKE: &str = "python3 -c 'import socket, time; s = socket.socket(); \
        s.bind((\"127.0.0.1\", 9223)); s.listen(); time.sleep(1000)' & exec browserd init";
    let container = Builder::new(&image)
        .option("--entrypoint=sh")
        .argument("-c")
        .argument(TAKE)
        .start_unready()
        .await?;
    assert_eventually!(within: START, "readyz tells of it", {
        let detail = container.lacks("supervisor").await?;
        ensure!(
            detail.contains("port 9223 on 127.0.0.1, for Chromium's DevTools, is in use"),
            "{detail}"
        );
    });
    let logs = container.logs().await?;
    ensure!(logs.contains("port 9223 on 127.0.0.1"), "{logs}");
    free_the_port(&container).await
}

/// The daemon's port is somebody else's at first: nobody but the log can tell.
pub(crate) async fn a_port_of_the_daemon_in_use_is_told(image: Image) -> anyhow::Result<()> {
    const TAKE: &str = "python3 -c 'import socket, time; s = socket.socket(socket.AF_INET6); \
        s.bind((\"::\", 10001)); s.listen(); time.sleep(1000)' & \
        until grep --quiet :2711 /proc/net/tcp6; do sleep 0.05; done; \
        exec browserd init";
    let container = Builder::new(&image)
        .option("--entrypoint=sh")
        .argument("-c")
        .argument(TAKE)
        .start_unready()
        .await?;
    assert_eventually!(within: START, "the log tells of it", {
        let logs = container.logs().await?;
        ensure!(logs.contains("cannot listen on [::]:10001 (PORT)"), "{logs}");
    });
    free_the_port(&container).await
}

/// Ends the program that has the port; all is well then, without a restart.
async fn free_the_port(container: &Container) -> anyhow::Result<()> {
    let taker = ["pkill", "--full", "socket.socket"];
    container.run(&taker).await?;
    container.ready().await.map(drop)
}

/// Without the option that allows it, Chromium cannot make its sandbox. Starts in vain become rare,
/// leave nothing behind, and the reason is told.
pub(crate) async fn a_sandbox_that_cannot_be_is_told(image: Image) -> anyhow::Result<()> {
    const LEFT: &str = "find /home/kernel -name '*.pma' -o -name '*.dmp' | wc -l";
    let container = Builder::new(&image)
        .without("--security-opt")
        .start_unready()
        .await?;
    told_of(
        &container,
        "its sandbox is not allowed here: run the container with --security-opt",
    )
    .await?;
    assert_eventually!(within: 2 * START, "starts become rare", {
        let logs = container.logs().await?;
        ensure!(logs.contains("the next start of Chromium waits for 8 s"), "{logs}");
    });
    let left = container.run(&["sh", "-c", LEFT]).await?;
    let left: u32 = left.trim().parse()?;
    // One start's, and the dumps that are kept.
    ensure!(left <= 6, "{left} files are left");
    Ok(())
}

/// A machine of which a part was lost.
pub(crate) async fn a_missing_library_is_told(image: Image) -> anyhow::Result<()> {
    const LOSE: &str = "rm /usr/lib/*-linux-gnu/libnspr4.so; exec browserd init";
    let container = Builder::new(&image)
        .option("--entrypoint=sh")
        .argument("-c")
        .argument(LOSE)
        .start_unready()
        .await?;
    told_of(&container, "the library libnspr4.so is not there").await
}

/// Waits until `/readyz` and the log say why Chromium does not run.
async fn told_of(container: &Container, reason: &str) -> anyhow::Result<()> {
    assert_eventually!(within: START, "readyz tells of it", {
        let detail = container.lacks("supervisor").await?;
        ensure!(
            detail.starts_with("chromium ended and has not come up again") && detail.contains(reason),
            "{detail}"
        );
    });
    let logs = container.logs().await?;
    ensure!(logs.contains(reason), "{logs}");
    Ok(())
}

/// Chromium takes no notice of one.
pub(crate) async fn an_unknown_flag_is_told(image: Image) -> anyhow::Result<()> {
    let container = Builder::new(&image)
        .env("CHROMIUM_FLAGS", "--no-such-flag-as-this=1 --mute-audio")
        .start()
        .await?;
    assert_eventually!(within: START, "the log tells of it", {
        let logs = container.logs().await?;
        let told: Vec<&str> = logs.lines().filter(|line| line.contains("knows no flag")).collect();
        ensure!(
            told.len() == 1 && told[0].contains("--no-such-flag-as-this"),
            "{logs}"
        );
    });
    Ok(())
}
