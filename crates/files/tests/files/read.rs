//! Reading whole files, parts of them, and files that say to be empty.

use std::{fs, io::Read as _, path::Path, process::Stdio};

use browserd_files::{Error, OsKind};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::support::{Place, fs_path, noise, read};

#[tokio::test]
async fn content_and_metadata_are_the_files() {
    for place in [Place::new(), Place::in_memory()] {
        for bytes in [0, 1, 524_287, 524_288, 524_289, 3_000_000] {
            let content = noise(bytes, 7);
            fs::write(place.path("file"), &content).unwrap();
            let reader = place
                .files
                .read(&fs_path(&place.path("file")))
                .await
                .unwrap();
            assert_eq!(reader.size_bytes(), Some(bytes as u64));
            let metadata = fs::metadata(place.path("file")).unwrap();
            assert_eq!(reader.modified(), metadata.modified().unwrap());
            let chunks: Vec<Bytes> = reader.content(None).try_collect().await.unwrap();
            assert!(chunks.concat() == content, "{bytes} bytes");
        }
    }
}

#[tokio::test]
async fn ranges_are_cut_out() {
    let place = Place::new();
    let content = noise(1_000_000, 3);
    fs::write(place.path("file"), &content).unwrap();
    for range in [0..1, 5..5, 999_999..1_000_000, 100..700_000, 0..1_000_000] {
        let reader = place
            .files
            .read(&fs_path(&place.path("file")))
            .await
            .unwrap();
        let asked = Some(range.start as u64..range.end as u64);
        let chunks: Vec<Bytes> = reader.content(asked).try_collect().await.unwrap();
        assert!(chunks.concat() == content[range.clone()], "{range:?}");
    }
}

#[tokio::test]
async fn kernel_files_are_read_to_their_end() {
    let place = Place::new();
    let path = Path::new("/proc/version");
    let reader = place.files.read(&fs_path(path)).await.unwrap();
    let content = fs::read(path).unwrap();
    assert!(!content.is_empty());
    assert_eq!(reader.size_bytes(), Some(content.len() as u64));
    assert_eq!(read(&place.files, path).await.unwrap(), content);
    let chunks: Vec<Bytes> = reader.content(Some(2..5)).try_collect().await.unwrap();
    assert_eq!(chunks.concat(), content[2..5]);
    // One of /sys says 4096 and has less: what it has is all there is.
    let path = Path::new("/sys/kernel/mm/transparent_hugepage/enabled");
    if path.exists() {
        assert_eq!(
            read(&place.files, path).await.unwrap(),
            fs::read(path).unwrap()
        );
    }
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let place = Place::new();
    let path = place.path("file");
    fs::write(&path, noise(3_000_000, 1)).unwrap();
    let reader = place.files.read(&fs_path(&path)).await.unwrap();
    let mut content = reader.content(None);
    content.next().await.unwrap().unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(300_000)
        .unwrap();
    let rest: Result<Vec<Bytes>, Error> = content.try_collect().await;
    assert!(matches!(rest, Err(Error::Changed { .. })), "{rest:?}");
}

#[tokio::test]
async fn the_tag_changes_with_the_content() {
    let place = Place::new();
    let path = fs_path(&place.path("file"));
    let mut tags = std::collections::HashSet::new();
    for round in 0..50u8 {
        place.write("file", &[round]).await.unwrap();
        let tag = place.files.read(&path).await.unwrap().etag().to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'));
        assert!(tags.insert(tag), "round {round}");
    }
    let tag = place.files.read(&path).await.unwrap().etag().to_owned();
    assert!(tags.contains(&tag));
}

/// A stalled reader holds no thread: there are far more of them than threads.
#[test]
fn stalled_readers_do_not_stop_others() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let place = Place::new();
        fs::write(place.path("file"), noise(2_000_000, 1)).unwrap();
        let mut stalled = Vec::new();
        for _ in 0..100 {
            let reader = place
                .files
                .read(&fs_path(&place.path("file")))
                .await
                .unwrap();
            let mut content = reader.content(None);
            content.next().await.unwrap().unwrap();
            stalled.push(content);
        }
        assert_eq!(
            read(&place.files, &place.path("file")).await.unwrap().len(),
            2_000_000
        );
    });
}

/// Holds a lease on the file that is named, and lets nobody have it.
const LEASE: &str = "
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()
";

#[tokio::test]
async fn a_file_under_the_lease_of_another_is_a_regular_file() {
    let place = Place::new();
    let path = place.path("file");
    fs::write(&path, "content").unwrap();
    let mut holder = std::process::Command::new("python3")
        .args(["-c", LEASE])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = [0; 5];
    let mut stdout = holder.stdout.take().unwrap();
    stdout.read_exact(&mut held).unwrap();
    let refused = place.files.read(&fs_path(&path)).await.unwrap_err();
    assert_ne!(refused.os_kind(), Some(OsKind::NotFile), "{refused:?}");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(read(&place.files, &path).await.unwrap(), b"content");
}
