//! Files over HTTP: reading, writing, uploads, archives and watches.

mod archives;
mod refused;
mod sent;
mod uploads;
mod watches;

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use browserd_e2e::{Call, Daemon, assert_eventually, case::Lacking, procfs, settings};
use bytes::Bytes;
use http::Method;
use tempfile::TempDir;
use tokio::process::Command;

use crate::shared::Suite;

pub(crate) use self::{
    archives::{a_tree_survives_both_archives, hostile_archives_change_nothing},
    refused::{bad_paths_and_modes_are_named, bad_requests_are_named},
    sent::{
        a_file_cut_while_it_is_sent_ends_the_connection, files_follow_each_other_on_one_connection,
    },
    uploads::{contents_may_come_before_their_paths, every_spelling_of_an_upload},
    watches::{a_burst_is_told_whole, a_watch_is_resumed_and_ended},
};

type Outcome = anyhow::Result<()>;

/// A daemon, and a folder for its files.
struct Machine {
    daemon: Daemon,
    folder: TempDir,
}

impl Machine {
    async fn start() -> anyhow::Result<Self> {
        Self::with(TempDir::with_prefix("browserd-e2e-")?).await
    }

    async fn with(folder: TempDir) -> anyhow::Result<Self> {
        let daemon = Daemon::builder().start().await?;
        Ok(Self { daemon, folder })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Makes a call that the document describes.
    async fn send(&self, call: Call) -> anyhow::Result<browserd_e2e::http::Answer> {
        self.daemon.at.api.send(call).await
    }

    fn read(&self, name: &str) -> Call {
        Call::get(format!("/fs/read_file?path={}", self.path(name)))
    }

    fn write(&self, name: &str, query: &str, body: impl Into<Bytes>) -> Call {
        let target = format!("/fs/write_file?path={}{query}", self.path(name));
        Call::new(Method::PUT, target).body("application/octet-stream", body)
    }
}

/// A request with a JSON body.
fn json(method: Method, path: &str, body: &serde_json::Value) -> Call {
    Call::new(method, path).body("application/json", body.to_string())
}

fn names(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

pub(crate) async fn ranges_and_conditions(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    let content: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let written = machine.write("file", "&mode=640", content.clone());
    machine.send(written).await?.expect(201)?;
    let whole = machine.send(machine.read("file")).await?.expect(200)?;
    assert!(whole.body == content, "another content");
    let etag = whole.header("etag").context("no ETag")?.to_owned();
    let modified = whole.header("last-modified").context("no date")?.to_owned();
    for (name, value) in [
        ("accept-ranges", "bytes"),
        ("content-type", "application/octet-stream"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", "sandbox"),
    ] {
        assert_eq!(whole.header(name), Some(value), "{name}");
    }

    let size = content.len();
    for (range, from, to) in [
        ("bytes=0-9".to_owned(), 0, 10),
        (format!("bytes={}-", size - 3), size - 3, size),
        ("bytes=-5".to_owned(), size - 5, size),
        ("bytes=1000000-2999999".to_owned(), 1_000_000, 3_000_000),
    ] {
        let call = machine.read("file").header("range", &range);
        let part = machine.send(call).await?.expect(206)?;
        assert!(part.body == content[from..to], "{range}");
        let told = format!("bytes {from}-{}/{size}", to - 1);
        assert_eq!(part.header("content-range"), Some(&*told));
    }
    let past = machine.read("file").header("range", "bytes=99999999-");
    let past = machine.send(past).await?.expect(416)?;
    let told = format!("bytes */{size}");
    assert_eq!(past.header("content-range"), Some(&*told));

    for (name, value, status) in [
        ("if-none-match", &*etag, 304),
        ("if-none-match", "\"other\"", 200),
        ("if-modified-since", &*modified, 304),
        ("if-match", &*etag, 200),
        ("if-match", "\"other\"", 412),
        ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 412),
    ] {
        let call = machine.read("file").header(name, value);
        let answer = machine.send(call).await?;
        assert_eq!(answer.status.as_u16(), status, "{name}: {value}");
        assert!(status != 304 || answer.body.is_empty());
    }
    let stale = machine.write("file", "", "new").header("if-match", "\"x\"");
    machine.send(stale).await?.expect(412)?;
    let fresh = machine.write("file", "", "new").header("if-match", &etag);
    machine.send(fresh).await?.expect(201)?;
    let again = machine.write("file", "", "x").header("if-none-match", "*");
    machine.send(again).await?.expect(412)?;
    assert_eq!(fs::read(machine.path("file"))?, b"new");
    Ok(())
}

pub(crate) async fn writes_in_place(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    machine
        .send(machine.write("new/log", "", "0123456789"))
        .await?
        .expect(201)?;
    let appended = machine.send(machine.write("new/log", "&append=true", "ab"));
    let appended = appended.await?.expect(201)?;
    assert_eq!(appended.header("x-write-mode"), Some("in-place"));
    let patched = machine.send(machine.write("new/log", "&offset=2", "XY"));
    patched.await?.expect(201)?;
    assert_eq!(fs::read(machine.path("new/log"))?, b"01XY456789ab");
    // A link stays, and what it leads to is replaced.
    std::os::unix::fs::symlink("new/log", machine.path("link"))?;
    let through = machine.send(machine.write("link", "", "through")).await?;
    assert_eq!(through.expect(201)?.header("x-write-mode"), None);
    assert_eq!(fs::read(machine.path("new/log"))?, b"through");
    assert!(fs::symlink_metadata(machine.path("link"))?.is_symlink());
    // The kernel's files say to be empty.
    let version = Call::get("/fs/read_file?path=/proc/version");
    let version = machine.send(version).await?.expect(200)?;
    assert_eq!(version.body, fs::read("/proc/version")?);
    Ok(())
}

/// Connects and sends the head of a write.
fn begin_write(at: SocketAddr, path: &str, length: usize) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(at)?;
    write!(
        stream,
        "PUT /fs/write_file?path={path} HTTP/1.1\r\nHost: {at}\r\nContent-Length: {length}\r\n\r\n"
    )?;
    Ok(stream)
}

pub(crate) async fn writes_that_break_off_leave_the_old_file(_: Suite) -> Outcome {
    const LENGTH: usize = 300_000;
    let machine = Machine::start().await?;
    let at = machine.daemon.at.api.address();
    let (old, new) = (vec![b'o'; 1000], vec![b'n'; LENGTH]);
    let path = machine.path("target");
    fs::write(&path, &old)?;
    // A fixed sequence that looks like any.
    let mut random = 12_345_u64;
    for round in 0..200 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let cut = usize::try_from(random >> 33)? % LENGTH;
        let mut stream = begin_write(at, &path, LENGTH)?;
        stream.write_all(&new[..cut])?;
        drop(stream);
        let now = fs::read(&path)?;
        assert!(
            now == old,
            "round {round}: cut at {cut}, {} bytes",
            now.len()
        );
    }
    assert_eventually!(within: Duration::from_secs(20), "nothing is left", {
        let left = names(machine.folder.path())?;
        anyhow::ensure!(left.len() == 1, "{left:?}");
    });
    assert_eq!(fs::read(&path)?, old);
    // One that only stops sending is told.
    let mut stream = begin_write(at, &path, LENGTH)?;
    stream.write_all(b"short")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.set_read_timeout(Some(settings::patience(Duration::from_secs(20))))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(fs::read(&path)?, old);
    Ok(())
}

pub(crate) async fn a_full_disk_is_told_and_harms_nothing(_: Suite) -> Outcome {
    let folder = TempDir::with_prefix("browserd-e2e-")?;
    let disk = folder.path().join("disk");
    fs::create_dir(&disk)?;
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&disk)
        .output()
        .await?;
    if !mounted.status.success() {
        return Err(Lacking("the right to mount".to_owned()).into());
    }
    let told = async {
        // A container sees what is mounted before its start.
        let machine = Machine::with(folder).await?;
        let old = vec![b'o'; 500_000];
        machine
            .send(machine.write("disk/file", "", old.clone()))
            .await?
            .expect(201)?;
        for query in ["", "&append=true"] {
            let call = machine.write("disk/file", query, vec![b'n'; 900_000]);
            let answer = machine.send(call).await?.expect(507)?;
            assert!(answer.text().contains("insufficient_storage"));
            assert!(fs::read(machine.path("disk/file"))? == old, "{query}");
        }
        assert_eq!(names(&disk)?.len(), 1);
        anyhow::Ok(machine)
    };
    // The folder cannot go while something is mounted in it.
    let told = told.await;
    let unmounted = Command::new("umount").arg(&disk).status().await?;
    assert!(unmounted.success());
    told.map(drop)
}

pub(crate) async fn memory_stays_flat(_: Suite) -> Outcome {
    const LENGTH: usize = 256 << 20;
    const MOST: u64 = 16 << 20;
    let machine = Machine::start().await?;
    let (at, pid) = (machine.daemon.at.api.address(), machine.daemon.pid());
    let path = machine.path("large");
    procfs::reset_peak(pid)?;
    let before = procfs::memory(pid)?.rss_bytes;
    let moved = tokio::task::spawn_blocking(move || -> anyhow::Result<usize> {
        let mut stream = begin_write(at, &path, LENGTH)?;
        let piece = vec![7; 1 << 20];
        for _ in 0..LENGTH / piece.len() {
            stream.write_all(&piece)?;
        }
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        anyhow::ensure!(&status == b"HTTP/1.1 201", "{status:?}");
        let mut stream = TcpStream::connect(at)?;
        write!(
            stream,
            "GET /fs/read_file?path={path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"
        )?;
        let (mut piece, mut read) = (piece, 0);
        loop {
            match stream.read(&mut piece)? {
                0 => return Ok(read),
                n => read += n,
            }
        }
    });
    let read = moved.await??;
    assert!(read > LENGTH, "{read} bytes with the head");
    let grown = procfs::memory(pid)?.peak_bytes.saturating_sub(before);
    assert!(grown <= MOST, "it has grown by {grown} bytes");
    Ok(())
}
