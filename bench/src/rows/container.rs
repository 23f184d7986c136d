//! The images, run by a container engine: how soon they are there, how much they take.
//!
//! Each side is a container with the network of this machine and ports of its own. Where no
//! engine answers, or the images are not built, the rows are left out and say so.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use browserd_e2e::{Call, Cdp, case::Lacking, ports::Block, settings};
use serde_json::{Value, json};

use crate::{
    Bench,
    row::{Bar, Row},
    stats::median,
};

const IMAGES: [(&str, f64); 2] = [("browserd-headless", 1200.0), ("browserd-headful", 1500.0)];
/// How long a container may take before it counts as not starting.
const LIMIT: Duration = Duration::from_secs(60);
/// The time between two looks, which a figure may be late by.
const PAUSE: Duration = Duration::from_millis(2);
/// The page that a browser begins with.
const PAGE: &str = "data:text/html,<title>ready</title>";
/// A browser and its X server, and nothing else: the peer.
const BARE: &str = "Xvfb :$DISPLAY_NUM -screen 0 3840x2160x24 -dpi 96 -noreset -ac -nolisten tcp \
    +extension RANDR & until [ -S /tmp/.X11-unix/X$DISPLAY_NUM ]; do sleep 0.01; done; \
    export DISPLAY=:$DISPLAY_NUM HOME=/home/kernel; cd /; \
    exec setpriv --reuid kernel --regid kernel --init-groups chromium \"$@\"";

/// From `docker run` to the first 200 of `/healthz`, less what the same takes with `true`.
pub(super) fn start_to_healthz(bench: &Bench) -> anyhow::Result<Row> {
    let image = image(IMAGES[0].0)?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(11, 2) {
        let machine = Machine::new(&image, &[])?;
        let start = Instant::now();
        let machine = machine.run(&[], &[])?;
        machine.wait(bench, async || {
            let asked = Call::get("/healthz").send(machine.port(0)).await;
            asked.is_ok_and(|answer| answer.status == 200).then_some(())
        })?;
        ours.push(start.elapsed().as_secs_f64() * 1e3);
        drop(machine);
        let nothing = Machine::new(&image, &["--entrypoint=true"])?;
        let start = Instant::now();
        nothing.attached()?;
        peer.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let (ours, peer) = (median(&ours), median(&peer));
    let row = Row::absolute("ms", ours - peer, 300.0);
    Ok(row.note(format!("{ours:.0} to /healthz, {peer:.0} for true")))
}

/// From `docker run` to the title of the first page, told over CDP.
pub(super) fn start_to_page(bench: &Bench) -> anyhow::Result<Row> {
    let image = image(IMAGES[0].0)?;
    let flags = flags(bench, &image)?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(11, 2) {
        let start = Instant::now();
        let machine = ours_with_page(&image)?;
        machine.has_title(bench, machine.port(2))?;
        ours.push(start.elapsed().as_secs_f64() * 1e3);
        drop(machine);
        let start = Instant::now();
        let machine = bare(&image, &flags)?;
        machine.has_title(bench, machine.port(3))?;
        peer.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let (ours, peer) = (median(&ours), median(&peer));
    Ok(Row::against("ms", ours, peer, Bar::RatioAtMost(1.15)))
}

/// What all processes of a container take, shared pages divided by those who share them.
pub(super) fn idle_memory(bench: &Bench) -> anyhow::Result<Row> {
    let image = image(IMAGES[0].0)?;
    let flags = flags(bench, &image)?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    let idle = Duration::from_secs(if bench.short { 3 } else { 15 });
    let mut extra = String::new();
    for _ in 0..bench.rounds(3, 1) {
        let machine = ours_with_page(&image)?;
        machine.has_title(bench, machine.port(2))?;
        bench.pause(idle);
        let (all, own) = machine.memory()?;
        extra = own;
        ours.push(all);
        drop(machine);
        let machine = bare(&image, &flags)?;
        machine.has_title(bench, machine.port(3))?;
        bench.pause(idle);
        peer.push(machine.memory()?.0);
    }
    let row = Row::against("MiB", median(&ours), median(&peer), Bar::RatioAtMost(1.1));
    Ok(row.note(extra))
}

/// The unpacked size of the headless image.
pub(super) fn size_headless(_: &Bench) -> anyhow::Result<Row> {
    size(IMAGES[0])
}

/// The unpacked size of the headful image.
pub(super) fn size_headful(_: &Bench) -> anyhow::Result<Row> {
    size(IMAGES[1])
}

fn size((name, at_most): (&str, f64)) -> anyhow::Result<Row> {
    let image = image(name)?;
    let bytes: f64 = docker(&["image", "inspect", "--format", "{{.Size}}", &image])?.parse()?;
    let client = settings::docker().join(" ");
    let pack = format!("{client} save {image} | gzip -1 | wc -c");
    let packed = output(Command::new("sh").args(["-c", &pack]))?;
    let packed: f64 = packed.parse()?;
    let row = Row::absolute("MB", bytes / 1e6, at_most);
    Ok(row.note(format!("{:.0} compressed", packed / 1e6)))
}

/// The image's name with its tag, when it is there.
fn image(name: &str) -> anyhow::Result<String> {
    let image = format!("{name}:{}", settings::tag());
    match docker(&["image", "inspect", "--format", "{{.Id}}", &image]) {
        Ok(_) => Ok(image),
        Err(_) => Err(Lacking(format!("a container engine with the image {image}")).into()),
    }
}

fn ours_with_page(image: &str) -> anyhow::Result<Machine> {
    let flags = format!("--env=CHROMIUM_FLAGS='{PAGE}'");
    Machine::new(image, &[&flags])?.run(&[], &[])
}

fn bare(image: &str, flags: &[String]) -> anyhow::Result<Machine> {
    let machine = Machine::new(image, &["--entrypoint=sh"])?;
    let port = format!("--remote-debugging-port={}", machine.block.port(3));
    machine.run(&["-c", BARE, "bare", &port], flags)
}

/// The flags that a browser of the image is started with, but for its port.
fn flags(bench: &Bench, image: &str) -> anyhow::Result<Vec<String>> {
    let machine = ours_with_page(image)?;
    machine.has_title(bench, machine.port(2))?;
    let find = "tr '\\0' ' ' </proc/$(pgrep --oldest --full lib/chromium)/cmdline";
    let line = docker(&["exec", &machine.name, "sh", "-c", find])?;
    let words = line.split_whitespace().skip(1);
    let kept = words.filter(|word| !word.starts_with("--remote-debugging-port"));
    Ok(kept.map(str::to_owned).collect())
}

/// A container. Dropping it removes it.
struct Machine {
    image: String,
    name: String,
    options: Vec<String>,
    block: Block,
}

impl Machine {
    fn new(image: &str, options: &[&str]) -> anyhow::Result<Self> {
        let block = Block::claim()?;
        let profile = settings::repository().join("images/seccomp.json");
        let mut all = vec![
            "--network=host".to_owned(),
            "--shm-size=2g".to_owned(),
            format!("--security-opt=seccomp={}", profile.display()),
            format!("--env=DISPLAY_NUM={}", block.display()),
        ];
        let ports = [
            "PORT",
            "METRICS_PORT",
            "DEVTOOLS_PROXY_PORT",
            "INTERNAL_PORT",
        ];
        for (index, name) in (0..).zip(ports) {
            all.push(format!("--env={name}={}", block.port(index)));
        }
        all.extend(options.iter().map(|&option| option.to_owned()));
        Ok(Self {
            image: image.to_owned(),
            name: format!("browserd-bench-{}-{}", std::process::id(), block.port(0)),
            options: all,
            block,
        })
    }

    fn arguments(&self, how: &[&str]) -> Vec<String> {
        let mut arguments = vec!["run".to_owned(), format!("--name={}", self.name)];
        arguments.extend(how.iter().map(|&word| word.to_owned()));
        arguments.extend(self.options.iter().cloned());
        arguments.push(self.image.clone());
        arguments
    }

    /// Starts it in the background.
    fn run(self, program: &[&str], more: &[String]) -> anyhow::Result<Self> {
        let mut arguments = self.arguments(&["--detach"]);
        arguments.extend(program.iter().map(|&word| word.to_owned()));
        arguments.extend_from_slice(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        docker(&arguments)?;
        Ok(self)
    }

    /// Runs it to its end.
    fn attached(&self) -> anyhow::Result<()> {
        let arguments = self.arguments(&[]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        docker(&arguments).map(drop)
    }

    fn port(&self, index: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.block.port(index)).into()
    }

    fn wait<T>(&self, bench: &Bench, ask: impl AsyncFn() -> Option<T>) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            if let Some(found) = bench.runtime.block_on(ask()) {
                return Ok(found);
            }
            if start.elapsed() >= LIMIT {
                let log = docker(&["logs", "--tail=20", &self.name]);
                anyhow::bail!("it does not come up: {}", log?);
            }
            bench.pause(PAUSE);
        }
    }

    /// Waits until a page tells the title over CDP.
    fn has_title(&self, bench: &Bench, devtools: SocketAddr) -> anyhow::Result<()> {
        self.wait(bench, async || {
            title(devtools).await.ok().filter(|title| title == "ready")
        })
        .map(drop)
    }

    /// The proportional set size of all processes, in MiB, and what is not Chromium's or X's.
    fn memory(&self) -> anyhow::Result<(f64, String)> {
        let id = docker(&["inspect", "--format", "{{.Id}}", &self.name])?;
        let (mut all, mut others) = (0.0, Vec::new());
        for entry in fs::read_dir("/proc")?.flatten() {
            let folder = entry.path();
            let groups = fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
            if !groups.contains(&id) {
                continue;
            }
            // One that ends meanwhile takes nothing.
            let rollup = fs::read_to_string(folder.join("smaps_rollup")).unwrap_or_default();
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            let kib = line.and_then(|line| line.split_whitespace().next());
            let mib = kib.map_or(Ok(0.0), str::parse::<f64>)? / 1024.0;
            all += mib;
            let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            if !name.starts_with("chrom") && !name.starts_with("Xvfb") {
                others.push(format!("{} {mib:.1}", name.trim()));
            }
        }
        ensure!(all > 0.0, "no processes of {}", self.name);
        Ok((all, others.join(", ")))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// The title of the first page.
async fn title(devtools: SocketAddr) -> anyhow::Result<String> {
    let targets: Vec<Value> = Call::get("/json/list")
        .send(devtools)
        .await?
        .expect(200)?
        .json()?;
    let page = targets.iter().find(|target| target["type"] == "page");
    let id = page
        .and_then(|page| page["id"].as_str())
        .context("no page")?;
    let mut page = Cdp::connect(&format!("ws://{devtools}/devtools/page/{id}")).await?;
    let params = json!({ "expression": "document.title" });
    let told = page.call("Runtime.evaluate", params).await?;
    let title = told["result"]["value"].as_str().context("no title")?;
    Ok(title.to_owned())
}

/// Runs the engine's client; returns what it prints.
fn docker(arguments: &[&str]) -> anyhow::Result<String> {
    let client = settings::docker();
    output(Command::new(&client[0]).args(&client[1..]).args(arguments))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the bench has nothing else to do"
)]
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {error}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
