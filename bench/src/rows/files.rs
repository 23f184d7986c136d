//! Files and logs, in memory (tmpfs) so that no disk is measured.

mod bare;
mod wire;

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::ensure;
use browserd_e2e::{ports::Block, process::Process, procfs};
use tempfile::TempDir;

pub(super) use self::bare::{list_1000, write_1m};
use self::wire::Wire;
use crate::{
    Bench,
    daemon::Daemon,
    row::{Bar, Row},
    stats::{median, take_turns},
};

/// Where memory is a file system.
const MEMORY: &str = "/dev/shm";
const MEBIBYTE: usize = 1 << 20;
/// The port of nginx in the block.
const NGINX: u16 = 10;

/// A daemon, and a folder in memory.
struct Place {
    daemon: Daemon,
    folder: TempDir,
}

impl Place {
    fn new(bench: &Bench) -> anyhow::Result<Self> {
        Ok(Self {
            daemon: Daemon::start(bench, Block::claim()?, None)?,
            folder: TempDir::with_prefix_in("browserd-bench-", MEMORY)?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn wire(&self) -> anyhow::Result<Wire> {
        Wire::open(self.daemon.api())
    }

    fn target(&self, route: &str, name: &str) -> String {
        format!("{route}?path={}", self.path(name).display())
    }

    fn nginx(&self) -> anyhow::Result<(Process, Wire)> {
        let (process, address) = wire::nginx(self.folder.path(), self.daemon.port(NGINX))?;
        Ok((process, Wire::open(address)?))
    }
}

fn seconds(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn megabytes(bytes: usize, seconds: f64) -> f64 {
    let bytes = u32::try_from(bytes / 1000).unwrap_or(u32::MAX);
    f64::from(bytes) / 1000.0 / seconds
}

/// The growth of the daemon's memory over a piece of work, in MiB.
fn growth(pid: u32, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    procfs::reset_peak(pid)?;
    let before = procfs::memory(pid)?.rss_bytes;
    work()?;
    let grown = procfs::memory(pid)?.peak_bytes.saturating_sub(before);
    Ok(f64::from(u32::try_from(grown / 1024)?) / 1024.0)
}

/// A large file out, against nginx with sendfile.
pub(super) fn read_file_1g(bench: &Bench) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    let bytes = bench.rounds(1024, 128) * MEBIBYTE;
    fs::write(place.path("large"), vec![7; bytes])?;
    let (_nginx, peer) = place.nginx()?;
    let sides = [
        (peer, "/large".to_owned()),
        (place.wire()?, place.target("/fs/read_file", "large")),
    ];
    throughput(
        bench,
        bytes,
        sides,
        |wire, path| wire.get(path).map(drop),
        0.75,
    )
}

/// A large file in, against a bare server that writes and syncs.
pub(super) fn write_file_1g(bench: &Bench) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    let bytes = bench.rounds(1024, 128) * MEBIBYTE;
    let sink = wire::sink(&place.path("sunk"))?;
    let sides = [
        (Wire::open(sink)?, "/".to_owned()),
        (place.wire()?, place.target("/fs/write_file", "large")),
    ];
    throughput(
        bench,
        bytes,
        sides,
        |wire, path| wire.put(path, bytes),
        0.85,
    )
}

fn throughput(
    bench: &Bench,
    bytes: usize,
    mut sides: [(Wire, String); 2],
    run: impl Fn(&mut Wire, &str) -> anyhow::Result<()>,
    bar: f64,
) -> anyhow::Result<Row> {
    let mut round =
        |(wire, path): &mut (Wire, String)| Ok(megabytes(bytes, seconds(|| run(wire, path))?));
    take_turns(&mut sides, 1, &mut round)?;
    let figures = take_turns(&mut sides, bench.rounds(9, 3), &mut round)?;
    let (peer, ours) = (median(&figures[0]), median(&figures[1]));
    Ok(Row::against("MB/s", ours, peer, Bar::RatioAtLeast(bar)))
}

/// How much memory a large file takes on its way.
pub(super) fn file_rss(bench: &Bench) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    let bytes = bench.rounds(1024, 128) * MEBIBYTE;
    let mut wire = place.wire()?;
    let grown = growth(place.daemon.pid(), || {
        wire.put(&place.target("/fs/write_file", "large"), bytes)?;
        wire.get(&place.target("/fs/read_file", "large")).map(drop)
    })?;
    Ok(Row::absolute("MiB", grown, 16.0))
}

/// 1 MiB out, against nginx.
pub(super) fn down_1m(bench: &Bench) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    fs::write(place.path("one"), vec![7; MEBIBYTE])?;
    let (_nginx, peer) = place.nginx()?;
    let sides = [
        (peer, "/one".to_owned()),
        (place.wire()?, place.target("/fs/read_file", "one")),
    ];
    latency(bench, sides, |wire, path| wire.get(path).map(drop), 1.4)
}

/// 1 MiB in, against nginx.
pub(super) fn up_1m(bench: &Bench) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    let (_nginx, peer) = place.nginx()?;
    let sides = [
        (peer, "/up".to_owned()),
        (place.wire()?, place.target("/fs/write_file", "one")),
    ];
    latency(bench, sides, |wire, path| wire.put(path, MEBIBYTE), 1.5)
}

fn latency(
    bench: &Bench,
    mut sides: [(Wire, String); 2],
    run: impl Fn(&mut Wire, &str) -> anyhow::Result<()>,
    bar: f64,
) -> anyhow::Result<Row> {
    let mut round = |(wire, path): &mut (Wire, String)| {
        let samples: anyhow::Result<Vec<_>> = (0..20)
            .map(|_| Ok(seconds(|| run(wire, path))? * 1e6))
            .collect();
        Ok(median(&samples?))
    };
    take_turns(&mut sides, 3, &mut round)?;
    let figures = take_turns(&mut sides, bench.rounds(50, 5), &mut round)?;
    let (peer, ours) = (median(&figures[0]), median(&figures[1]));
    Ok(Row::against("µs", ours, peer, Bar::RatioAtMost(bar)).note("p50"))
}

/// Makes a folder of many files, some of them text and some noise; returns its bytes.
fn many_files(folder: &Path, count: usize) -> anyhow::Result<usize> {
    let (mut random, mut total) = (1_u64, 0);
    for n in 0..count {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let length = usize::try_from(random >> 50)?;
        let content: Vec<u8> = (0..length)
            .map(|at| {
                if n % 3 == 0 {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    random.to_be_bytes()[0]
                } else {
                    b"a text that is easily made smaller "[at % 35]
                }
            })
            .collect();
        let folder = folder.join(format!("{}", n % 100));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{n}")), &content)?;
        total += content.len();
    }
    Ok(total)
}

/// A folder out as tar.zst, against tar and zstd.
pub(super) fn download_dir_zstd(bench: &Bench) -> anyhow::Result<Row> {
    let shell = "tar -c . | zstd -q -3 -T1 > /dev/null";
    download(bench, "/fs/download_dir_zstd", shell, 0.8)
}

/// A folder out as zip, against zip.
pub(super) fn download_dir_zip(bench: &Bench) -> anyhow::Result<Row> {
    download(
        bench,
        "/fs/download_dir_zip",
        "zip -q -1 -r - . > /dev/null",
        1.0,
    )
}

fn download(bench: &Bench, route: &str, shell: &str, bar: f64) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    let folder = place.path("many");
    let bytes = many_files(&folder, bench.rounds(10_000, 1_000))?;
    let (mut wire, target) = (place.wire()?, place.target(route, "many"));
    let mut round = |is_ours: &mut bool| {
        let took = seconds(|| {
            if *is_ours {
                return wire.get(&target).map(drop);
            }
            run(shell, &folder)
        });
        Ok(megabytes(bytes, took?))
    };
    let figures = take_turns(&mut [false, true], bench.rounds(7, 3), &mut round)?;
    let (peer, ours) = (median(&figures[0]), median(&figures[1]));
    Ok(Row::against("MB/s", ours, peer, Bar::RatioAtLeast(bar)))
}

fn run(shell: &str, folder: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", shell]).current_dir(folder);
    let status = command.stdin(Stdio::null()).spawn()?.wait()?;
    ensure!(status.success(), "{shell}: {status}");
    Ok(())
}

/// A zip archive in, against unzip.
pub(super) fn upload_zip(bench: &Bench) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    let folder = place.path("many");
    let bytes = many_files(&folder, bench.rounds(10_000, 1_000))?;
    run("zip -q -1 -r ../many.zip .", &folder)?;
    let archive = fs::read(place.path("many.zip"))?;
    let mut wire = place.wire()?;
    let mut turn = 0;
    let mut round = |is_ours: &mut bool| {
        turn += 1;
        let to = place.path(&format!("unpacked-{turn}"));
        fs::create_dir(&to)?;
        let dest = to.display().to_string();
        let form = form(&[("zip_file", &archive), ("dest_path", dest.as_bytes())]);
        let took = seconds(|| {
            if *is_ours {
                return wire.post("/fs/upload_zip", &form);
            }
            run("unzip -q ../many.zip", &to)
        })?;
        fs::remove_dir_all(&to)?;
        Ok(megabytes(bytes, took))
    };
    let figures = take_turns(&mut [false, true], bench.rounds(7, 3), &mut round)?;
    let (peer, ours) = (median(&figures[0]), median(&figures[1]));
    Ok(Row::against("MB/s", ours, peer, Bar::RatioAtLeast(0.8)))
}

fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, content) in parts {
        let head = format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        form.extend_from_slice(head.as_bytes());
        form.extend_from_slice(content);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--limit--\r\n");
    form
}

/// 580 small files in one upload, against as many writes.
pub(super) fn upload_580(bench: &Bench) -> anyhow::Result<Row> {
    const FILES: usize = 580;
    const BYTES: usize = 1024;
    let place = Place::new(bench)?;
    let names: Vec<_> = (0..FILES)
        .map(|n| {
            let dest = place.path(&format!("upload/{n}")).display().to_string();
            (
                format!("files[{n}][dest_path]"),
                dest,
                format!("files[{n}][file]"),
            )
        })
        .collect();
    let content = [7; BYTES];
    let parts: Vec<(&str, &[u8])> = names
        .iter()
        .flat_map(|(dest, path, file)| [(&**dest, path.as_bytes()), (&**file, &content[..])])
        .collect();
    let upload = form(&parts);
    let targets: Vec<_> = (0..FILES)
        .map(|n| place.target("/fs/write_file", &format!("single/{n}")))
        .collect();
    let mut wire = place.wire()?;
    let mut round = |is_upload: &mut bool| {
        let took = seconds(|| {
            if *is_upload {
                return wire.post("/fs/upload", &upload);
            }
            targets
                .iter()
                .try_for_each(|target| wire.put(target, BYTES))
        })?;
        let files = if *is_upload { "upload" } else { "single" };
        fs::remove_dir_all(place.path(files))?;
        Ok(1.0 / took)
    };
    let figures = take_turns(&mut [false, true], bench.rounds(15, 3), &mut round)?;
    let (singles, upload) = (median(&figures[0]), median(&figures[1]));
    Ok(Row::against("1/s", upload, singles, Bar::RatioAtLeast(5.0)))
}

/// From the write of a line to its event.
pub(super) fn log_line(bench: &Bench) -> anyhow::Result<Row> {
    let place = Place::new(bench)?;
    let path = place.path("app.log");
    let mut file = File::create(&path)?;
    let mut wire = place.wire()?;
    wire.stream(&format!(
        "/logs/stream?source=path&path={}&tail=1",
        path.display()
    ))?;
    let mut samples = Vec::new();
    for n in 0..bench.rounds(1000, 50) {
        let mark = format!("\"line {n}.\"");
        let start = Instant::now();
        file.write_all(format!("line {n}.\n").as_bytes())?;
        while !wire.line()?.contains(&mark) {}
        samples.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let worst = samples.iter().copied().fold(0.0, f64::max);
    let row = Row::absolute("ms", median(&samples), 5.0);
    Ok(row.note("p50").note(format!("worst {worst:.1}")))
}
