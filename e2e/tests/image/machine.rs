//! What programs and pages find in a machine: its time, its sound, its log, its tools.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use browserd_e2e::{
    Cdp, Endpoints, assert_eventually,
    container::{Builder, Container},
    spawned,
};
use serde_json::{Value, json};

use crate::Image;

/// How long a sound server may take to be asked on a quiet machine.
const SOUND: Duration = Duration::from_secs(30);

/// What a command of the API prints.
async fn exec(at: &Endpoints, script: &str) -> anyhow::Result<String> {
    let answer: Value = at.api.exec(script).await?.expect(200)?.json()?;
    let output = String::from_utf8(spawned::decoded(&answer["stdout_b64"])?)?;
    Ok(output.trim().to_owned())
}

/// The zone that a page sees.
async fn zone_of_page(browser: &mut Cdp) -> anyhow::Result<Value> {
    let (target, session) = browser.open("about:blank").await?;
    let script = "Intl.DateTimeFormat().resolvedOptions().timeZone";
    let zone = browser.evaluate(&session, script).await?;
    let close = json!({"targetId": target});
    browser.call("Target.closeTarget", close).await?;
    Ok(zone)
}

/// Pages, commands and programs agree.
pub(crate) async fn has_one_time_zone(image: Image) -> anyhow::Result<()> {
    let container = Builder::new(&image)
        .env("KERNEL_BROWSER_TIMEZONE", "Asia/Tokyo")
        .env("TZ", "Europe/Paris")
        .option("--read-only")
        .option("--tmpfs=/tmp")
        .option("--tmpfs=/run:mode=755")
        .option("--tmpfs=/var/log/supervisord")
        .option("--tmpfs=/home/kernel:uid=1000,gid=1000,mode=700")
        .start()
        .await?;
    let at = container.at().await?;
    let mut browser = at.browser().await?;
    assert_eq!(zone_of_page(&mut browser).await?, "Asia/Tokyo");
    assert_eq!(
        exec(&at, "date +%Z; readlink -f /etc/localtime").await?,
        "JST\n/usr/share/zoneinfo/Asia/Tokyo"
    );
    Ok(())
}

/// Without health checks that pass, and without what cannot be helped.
pub(crate) async fn is_quiet_when_idle(image: Image) -> anyhow::Result<()> {
    // A limit below the one that the bus would like to have.
    let container = Builder::new(&image)
        .env("HEIGTH", "700")
        .option("--ulimit=nofile=8192:8192")
        .option("--health-interval=1s")
        .start()
        .await?;
    let at = container.at().await?;
    assert_eventually!(within: Duration::from_secs(30), "it is found healthy",
        container.inspect("{{.State.Health.Status}}").await? == "healthy");
    at.api.get("/display").await?.expect(200)?;
    assert_eventually!("its log has what was asked", {
        container
            .logs()
            .await?
            .contains("\"http.path\":\"/display\"")
    });
    let logs = container.logs().await?;
    for noise in ["fd limit", "/dev/shm"] {
        ensure!(!logs.contains(noise), "{noise:?} in {logs}");
    }
    let checks = logs.lines().filter(|line| {
        (line.contains("/readyz") || line.contains("/healthz"))
            && line.contains("\"http.status\":200")
    });
    assert_eq!(checks.count(), 0, "{logs}");
    ensure!(
        logs.contains("no setting has this name") && logs.contains("\"meant\":\"HEIGHT\""),
        "{logs}"
    );
    Ok(())
}

/// Asks the sound server.
async fn pactl(container: &Container, arguments: &[&str]) -> anyhow::Result<String> {
    let command = [&["pactl"], arguments].concat();
    container.run(&command).await
}

/// A sink with its monitor, and a microphone; what is played to the one is heard at the monitor.
pub(crate) async fn has_sound(image: Image) -> anyhow::Result<()> {
    const TONE: &str = "python3 -c 'import math, struct, sys; \
        sys.stdout.buffer.write(b\"\".join(struct.pack(\"<hh\", *[int(9000 * math.sin(n / 8))] * 2) \
        for n in range(480000)))' >/tmp/tone && \
        exec pacat --playback --rate=48000 --format=s16le --channels=2 --device=browser /tmp/tone";
    const RECORD: &str = "timeout --signal=INT 2 parec --rate=48000 --format=s16le --channels=2 \
        --device=browser.monitor >/tmp/heard; python3 -c 'import array; \
        heard = array.array(\"h\", open(\"/tmp/heard\", \"rb\").read()[:384000]); \
        print(max(map(abs, heard), default=0))'";
    let container = Builder::new(&image).start().await?;
    let sinks = pactl(&container, &["list", "short", "sinks"]).await?;
    ensure!(
        sinks.contains("browser") && sinks.contains("2ch 48000Hz"),
        "{sinks}"
    );
    let sources = pactl(&container, &["list", "short", "sources"]).await?;
    for source in ["browser.monitor", "microphone"] {
        let line = sources.lines().find(|line| line.contains(source));
        ensure!(
            line.is_some_and(|line| line.contains("2ch 48000Hz")),
            "{source}: {sources}"
        );
    }
    let info = pactl(&container, &["info"]).await?;
    for default in ["Default Sink: browser\n", "Default Source: microphone\n"] {
        ensure!(info.contains(default), "{default:?}: {info}");
    }
    container.detach(&["sh", "-c", TONE]).await?;
    assert_eventually!(within: SOUND, "the tone is heard at the monitor", {
        let loudest = container.run(&["sh", "-c", RECORD]).await?;
        let loudest: i32 = loudest.trim().parse().with_context(|| loudest.clone())?;
        ensure!(loudest > 5000, "the loudest sample is {loudest}");
    });
    container
        .run(&["xrandr", "--display", ":1", "--current"])
        .await
        .map(drop)
}

/// What a page plays gets to the sink.
pub(crate) async fn pages_play_to_the_sink(image: Image) -> anyhow::Result<()> {
    const PLAY: &str = "(async () => { const context = new AudioContext(); \
        const tone = new OscillatorNode(context, {frequency: 440}); \
        tone.connect(context.destination); tone.start(); globalThis.kept = [context, tone]; \
        await context.resume(); return context.state; })()";
    let container = Builder::new(&image)
        .env(
            "CHROMIUM_FLAGS",
            "--autoplay-policy=no-user-gesture-required",
        )
        .start()
        .await?;
    let mut browser = container.at().await?.browser().await?;
    let (_, session) = browser.open("about:blank").await?;
    let state = browser.evaluate(&session, PLAY).await?;
    assert_eq!(state, "running");
    assert_eventually!(within: SOUND, "the sink has the page's stream", {
        let streams = pactl(&container, &["list", "sink-inputs"]).await?;
        ensure!(streams.to_lowercase().contains("chromium"), "{streams}");
    });
    Ok(())
}
