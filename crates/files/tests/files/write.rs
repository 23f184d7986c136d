//! Writes are whole or nothing.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use browserd_files::{Error, Mode, OsKind, Placement, Precondition, SmallFile, WriteOptions};
use bytes::Bytes;

use crate::support::{
    Mount, Place, assert_eventually, assert_os, fs_path, may_mount, noise, write,
};

#[tokio::test]
async fn a_new_file_gets_its_parents_and_its_mode() {
    let place = Place::new();
    let done = place.write("a/b/file", b"content").await.unwrap();
    assert!(done.created && !done.in_place);
    assert_eq!(fs::read(place.path("a/b/file")).unwrap(), b"content");
    let mode = |name| fs::metadata(place.path(name)).unwrap().mode() & 0o7777;
    assert_eq!(
        (mode("a"), mode("a/b"), mode("a/b/file")),
        (0o755, 0o755, 0o644)
    );

    let options = WriteOptions {
        mode: Some(Mode::parse("600").unwrap()),
        ..Default::default()
    };
    write(&place.files, &place.path("secret"), b"", options)
        .await
        .unwrap();
    assert_eq!(mode("secret"), 0o600);
    assert_eq!(place.names(), ["a", "a/b", "a/b/file", "secret"]);
}

#[tokio::test]
async fn an_existing_file_keeps_its_owner_and_mode() {
    let place = Place::new();
    let path = place.path("file");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
    let root = may_mount();
    if root {
        std::os::unix::fs::chown(&path, Some(1234), Some(4321)).unwrap();
    }
    let before = fs::metadata(&path).unwrap();
    let done = place.write("file", b"new").await.unwrap();
    assert!(!done.created && !done.in_place);
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    assert_ne!(after.ino(), before.ino(), "replaced, not overwritten");

    let options = WriteOptions {
        mode: Some(Mode::FILE),
        ..Default::default()
    };
    write(&place.files, &path, b"newer", options).await.unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.mode() & 0o7777, after.uid()), (0o644, before.uid()));
}

#[tokio::test]
async fn a_link_is_written_through() {
    let place = Place::new();
    fs::create_dir_all(place.path("real/deep")).unwrap();
    fs::write(place.path("real/deep/file"), "old").unwrap();
    symlink("real", place.path("dir")).unwrap();
    symlink("../real/deep/file", place.path("real/one")).unwrap();
    symlink("dir/one", place.path("two")).unwrap();
    place.write("two", b"new").await.unwrap();
    assert_eq!(fs::read(place.path("real/deep/file")).unwrap(), b"new");
    assert!(
        fs::symlink_metadata(place.path("two"))
            .unwrap()
            .is_symlink()
    );

    symlink("not/there/yet", place.path("dangling")).unwrap();
    place.write("dangling", b"made").await.unwrap();
    assert_eq!(fs::read(place.path("not/there/yet")).unwrap(), b"made");
}

/// Two hundred writes, each broken off at another byte.
#[tokio::test]
async fn a_broken_write_leaves_the_old_content_and_nothing_else() {
    const BYTES: usize = 3_000_000;
    let place = Place::new();
    let old = noise(500_000, 1);
    place.write("file", &old).await.unwrap();
    let new = noise(BYTES, 2);
    let cuts = noise(200 * 4, 3);
    for cut in cuts.chunks(4) {
        let cut = u32::from_le_bytes(cut.try_into().unwrap()) as usize % BYTES;
        let path = fs_path(&place.path("file"));
        let mut writer = place
            .files
            .write(&path, WriteOptions::default())
            .await
            .unwrap();
        for chunk in new[..cut].chunks(64 * 1024) {
            writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        drop(writer);
        assert_eq!(fs::read(place.path("file")).unwrap(), old);
    }
    assert_eventually("the broken writes' files go", || place.names() == ["file"]);
    place.write("file", &new).await.unwrap();
    assert!(fs::read(place.path("file")).unwrap() == new);
    assert_eq!(place.names(), ["file"]);
}

/// A finish that nobody waits for any more ends in the old content or the new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_finish_is_whole_or_nothing() {
    let place = Place::new();
    let (old, new) = (noise(400_000, 1), noise(300_000, 2));
    for round in 0..100u32 {
        place.write("file", &old).await.unwrap();
        let path = fs_path(&place.path("file"));
        let mut writer = place
            .files
            .write(&path, WriteOptions::default())
            .await
            .unwrap();
        writer.write(new.clone().into()).await.unwrap();
        let patience = Duration::from_micros(u64::from(round) * 20);
        let _ = tokio::time::timeout(patience, writer.finish()).await;
        let now = fs::read(place.path("file")).unwrap();
        assert!(now == old || now == new, "a mix of {} bytes", now.len());
    }
    assert_eventually("no file is left", || place.names() == ["file"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_the_old_content_or_the_new() {
    const TIMES: usize = 100;
    let place = Place::new();
    let contents = [vec![b'a'; 200_000], vec![b'b'; 100_000]];
    place.write("file", &contents[0]).await.unwrap();
    let (reads, stop) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let reader = tokio::task::spawn_blocking({
        let (path, contents) = (place.path("file"), contents.clone());
        let (reads, stop) = (Arc::clone(&reads), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::Relaxed) {
                let now = fs::read(&path).unwrap();
                assert!(contents.contains(&now), "a mix of {} bytes", now.len());
                reads.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    // Until both have had their turns, however they are scheduled.
    let mut writes = 0;
    while writes < TIMES || reads.load(Ordering::Relaxed) < TIMES && !reader.is_finished() {
        place.write("file", &contents[writes % 2]).await.unwrap();
        writes += 1;
    }
    stop.store(true, Ordering::Relaxed);
    reader.await.unwrap();
}

#[tokio::test]
async fn append_and_offset_write_in_place() {
    let place = Place::new();
    let path = place.path("log");
    let with = |placement| WriteOptions {
        placement,
        ..Default::default()
    };
    let done = write(&place.files, &path, b"one", with(Placement::Append))
        .await
        .unwrap();
    assert!(done.created && done.in_place);
    let inode = fs::metadata(&path).unwrap().ino();
    let done = write(&place.files, &path, b" two", with(Placement::Append))
        .await
        .unwrap();
    assert!(!done.created && done.in_place);
    write(&place.files, &path, b"ONE", with(Placement::At(0)))
        .await
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"ONE two");
    write(&place.files, &path, b"end", with(Placement::At(10)))
        .await
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"ONE two\0\0\0end");
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
}

#[tokio::test]
async fn a_write_can_ask_for_the_state_it_knows() {
    let place = Place::new();
    let path = place.path("file");
    let asking = |precondition| WriteOptions {
        precondition,
        ..Default::default()
    };
    let refused = |result: Result<_, Error>| matches!(result, Err(Error::Precondition { .. }));
    assert!(refused(
        write(&place.files, &path, b"", asking(Precondition::Present)).await
    ));
    write(&place.files, &path, b"one", asking(Precondition::Absent))
        .await
        .unwrap();
    assert!(refused(
        write(&place.files, &path, b"", asking(Precondition::Absent)).await
    ));
    let tag = place
        .files
        .read(&fs_path(&path))
        .await
        .unwrap()
        .etag()
        .to_owned();
    let knowing = asking(Precondition::Matches(vec!["\"other\"".into(), tag]));

    // Two writers that know the same state: the second to finish is refused.
    let mut first = place
        .files
        .write(&fs_path(&path), knowing.clone())
        .await
        .unwrap();
    let mut second = place
        .files
        .write(&fs_path(&path), knowing.clone())
        .await
        .unwrap();
    first.write("first".into()).await.unwrap();
    second.write("second".into()).await.unwrap();
    first.finish().await.unwrap();
    assert!(refused(second.finish().await));
    assert!(refused(write(&place.files, &path, b"", knowing).await));
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(place.names(), ["file"]);
}

#[tokio::test]
async fn a_bind_mounted_file_is_written_in_place() {
    if !may_mount() {
        return;
    }
    let place = Place::new();
    let (outer, inner) = (place.path("outer"), place.path("inner"));
    fs::write(&outer, "the old and longer content").unwrap();
    fs::write(&inner, "").unwrap();
    let mount = Mount::bind(&outer, &inner);
    let done = place.write("inner", b"new").await.unwrap();
    assert!(done.in_place && !done.created);
    assert_eq!(fs::read(&outer).unwrap(), b"new");
    drop(mount);
    assert_eq!(place.names(), ["inner", "outer"]);
}

#[tokio::test]
async fn kernel_files_and_devices_can_be_written() {
    let place = Place::new();
    let null = std::path::Path::new("/dev/null");
    let done = write(&place.files, null, b"gone", WriteOptions::default())
        .await
        .unwrap();
    assert!(done.in_place);
    // A process may set its own name.
    let comm = std::path::Path::new("/proc/self/comm");
    let old = fs::read(comm).unwrap();
    let done = write(&place.files, comm, b"renamed", WriteOptions::default())
        .await
        .unwrap();
    assert!(done.in_place);
    assert_eq!(fs::read(comm).unwrap(), b"renamed\n");
    fs::write(comm, old).unwrap();
}

#[tokio::test]
async fn a_full_disk_keeps_the_old_content() {
    if !may_mount() {
        return;
    }
    let place = Place::new();
    let _mount = Mount::tmpfs(&place.root(), "2m");
    let old = noise(500_000, 1);
    place.write("file", &old).await.unwrap();
    let large = noise(4_000_000, 2);
    assert_os(place.write("file", &large).await, OsKind::NoSpace);
    assert_os(place.write("other", &large).await, OsKind::NoSpace);
    assert_eventually("no file is left", || place.names() == ["file"]);
    assert_eq!(fs::read(place.path("file")).unwrap(), old);

    // A size that is known is refused before the first byte, in place too.
    for placement in [Placement::Replace, Placement::Append, Placement::At(10)] {
        let options = WriteOptions {
            placement,
            expected_bytes: Some(4_000_000),
            ..Default::default()
        };
        let path = fs_path(&place.path("file"));
        assert_os(place.files.write(&path, options).await, OsKind::NoSpace);
    }
    assert_eq!(fs::read(place.path("file")).unwrap(), old);
    place.write("file", &noise(1_000_000, 3)).await.unwrap();
}

/// Where the file cannot be replaced, the space is claimed before its bytes are touched.
#[tokio::test]
async fn a_full_disk_keeps_the_old_content_of_a_bind_mounted_file() {
    if !may_mount() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("small")).unwrap();
    let _small = Mount::tmpfs(&place.path("small"), "1m");
    fs::write(place.path("small/file"), "old").unwrap();
    fs::write(place.path("file"), "").unwrap();
    let _bind = Mount::bind(&place.path("small/file"), &place.path("file"));
    assert_os(
        place.write("file", &noise(3_000_000, 1)).await,
        OsKind::NoSpace,
    );
    assert_eq!(fs::read(place.path("file")).unwrap(), b"old");
}

#[tokio::test]
async fn leftovers_of_a_crash_go_when_their_directory_is_used() {
    let place = Place::new();
    let left = place.path(&format!(".browserd-part-{}", "0f".repeat(16)));
    fs::write(&left, "left").unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    File::open(&left).unwrap().set_modified(old).unwrap();
    place.write("file", b"content").await.unwrap();
    assert_eq!(place.names(), ["file"]);
}

#[tokio::test]
async fn many_small_files_go_in_one_call() {
    let place = Place::new();
    fs::write(place.path("0"), "old").unwrap();
    fs::set_permissions(place.path("0"), Permissions::from_mode(0o700)).unwrap();
    let memory = Place::in_memory();
    // More than are open at once, on two file systems, the last of them twice.
    let path = |index: usize| match index {
        0..150 => place.path(&index.to_string()),
        _ => memory.path(&format!("dir/{}", index.min(299))),
    };
    let small = |index: usize| SmallFile {
        path: fs_path(&path(index)),
        content: vec!["content ".into(), index.to_string().into()],
    };
    let files: Vec<SmallFile> = (0..301).map(small).collect();
    place.files.write_small(files).await.unwrap();
    for index in 0..299 {
        let content = fs::read_to_string(path(index)).unwrap();
        assert_eq!(content, format!("content {index}"));
    }
    assert_eq!(fs::read(path(300)).unwrap(), b"content 300");
    let mode = |index| fs::metadata(path(index)).unwrap().mode() & 0o777;
    assert_eq!((mode(0), mode(1)), (0o700, 0o644));
    assert_eq!((place.names().len(), memory.names().len()), (150, 151));

    // One that cannot be leaves those of its group as they are, and no litter.
    fs::create_dir(place.path("taken")).unwrap();
    let mut files: Vec<SmallFile> = (0..9).map(small).collect();
    files[8].path = fs_path(&place.path("taken"));
    files[0].content.clear();
    let refused = place.files.write_small(files).await;
    assert_os(refused, OsKind::IsDirectory);
    assert_eq!(fs::read(path(0)).unwrap(), b"content 0");
    assert_eq!(place.names().len(), 151);
}
