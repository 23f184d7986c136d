//! The profile of a real Chromium goes through both archives and comes out as it was.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::Stdio,
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use browserd_files::{ArchiveKind, Compression, PackFormat};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::support::{
    Place, Tree, assert_eventually, assert_same, pack, tree, unpack, whole_seconds,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Writes into each of the profile's databases, and then asks for another page.
const PAGE: &str = "<!doctype html><title>profile</title><script>
document.cookie = 'visited=yes; max-age=100000';
localStorage.setItem('visited', 'yes');
const open = indexedDB.open('store', 1);
open.onupgradeneeded = () => open.result.createObjectStore('things');
open.onsuccess = () => {
    const change = open.result.transaction('things', 'readwrite');
    change.objectStore('things').put('x'.repeat(100000), 'key');
    change.oncomplete = () => fetch('/done');
};
</script>";

/// Serves the page, and tells when it is done.
fn serve(listener: &TcpListener, done: &Sender<()>) {
    for stream in listener.incoming() {
        if answer(&stream.unwrap()).is_ok_and(|path| path == "/done") && done.send(()).is_err() {
            return;
        }
    }
}

fn answer(mut stream: &TcpStream) -> std::io::Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Cache-Control: max-age=1000\r\nConnection: close\r\n\r\n{PAGE}",
        PAGE.len()
    )?;
    let path = first.split_whitespace().nth(1);
    Ok(path.unwrap_or_default().to_owned())
}

/// A Chromium on a profile of its own, showing a page. It is killed on drop.
fn chromium(profile: &Path, url: &str) -> Child {
    let home = profile.parent().unwrap();
    Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-dev-shm-usage",
            "--password-store=basic",
            "--use-mock-keychain",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .env("HOME", home)
        .env("TMPDIR", home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .process_group(0)
        .spawn()
        .unwrap()
}

/// Whether a process of the group still runs: the browser's network service writes on when the
/// browser itself has ended.
fn runs(group: i32) -> bool {
    let of_group = |stat: String| {
        // The name, in parentheses, may hold anything.
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let (state, its_group) = (fields.next()?, fields.nth(1)?);
        (state != "Z" && its_group.parse() == Ok(group)).then_some(())
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("stat")).ok())
        .any(|stat| of_group(stat).is_some())
}

#[tokio::test]
async fn a_real_profile_survives_both_archives() {
    let place = Place::new();
    let profile = place.path("profile");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (done, visited) = channel();
    std::thread::spawn(move || serve(&listener, &done));
    let mut child = chromium(&profile, &url);
    tokio::task::spawn_blocking(move || visited.recv_timeout(PATIENCE))
        .await
        .unwrap()
        .expect("the page was not shown");
    // As it is while the browser runs: a link that leads out, to a socket.
    let socket = fs::read_link(profile.join("SingletonSocket")).unwrap();
    let lock = fs::read_link(profile.join("SingletonLock")).unwrap();
    assert!(socket.is_absolute() && lock.is_relative());
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    ended.expect("it did not end").unwrap();
    assert_eventually("all of the browser ends", || {
        !runs(pid.as_raw_nonzero().get())
    });

    // What a browser leaves that was killed, if this one has not left it anyway, and a socket.
    for (name, target) in [("SingletonLock", &lock), ("SingletonSocket", &socket)] {
        if fs::symlink_metadata(profile.join(name)).is_err() {
            symlink(target, profile.join(name)).unwrap();
        }
    }
    let _listener = UnixListener::bind(profile.join("Default/socket")).unwrap();
    symlink("Default/socket", profile.join("to-socket")).unwrap();
    let mut expected = tree(&profile);
    expected.retain(|name, (mode, ..)| {
        let is_socket = *mode & 0o170_000 == 0o140_000;
        !is_socket && !["SingletonSocket", "to-socket"].contains(&name.as_str())
    });
    assert!(expected.len() > 50, "{} entries", expected.len());
    assert!(expected.contains_key("SingletonLock"));
    round_trip(&place, &expected).await;
}

async fn round_trip(place: &Place, expected: &Tree) {
    let tar = PackFormat::TarZst(Compression::Default);
    let tar_kind = ArchiveKind::TarZst {
        strip_components: 0,
    };
    let archive = pack(&place.files, &place.path("profile"), tar)
        .await
        .unwrap();
    unpack(&place.files, &archive, &place.path("tar"), tar_kind)
        .await
        .unwrap();
    assert_same(&tree(&place.path("tar")), expected);

    let archive = pack(&place.files, &place.path("profile"), PackFormat::Zip)
        .await
        .unwrap();
    unpack(&place.files, &archive, &place.path("zip"), ArchiveKind::Zip)
        .await
        .unwrap();
    assert_same(&tree(&place.path("zip")), &whole_seconds(expected.clone()));
}
