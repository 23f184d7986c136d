//! Directories that go through an archive come out as they were.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use browserd_files::{ArchiveKind, Compression, Error, OsKind, PackFormat};
use futures_util::StreamExt;
use tokio::process::Command;

use crate::support::{
    Mount, Place, assert_os, assert_same, fs_path, may_mount, noise, pack, tree, unpack,
    whole_seconds,
};

const TAR: PackFormat = PackFormat::TarZst(Compression::Default);
const TAR_KIND: ArchiveKind = ArchiveKind::TarZst {
    strip_components: 0,
};

/// A tree such as a browser's profile is: many small files, deep names, a database, links.
fn profile(root: &Path) {
    let date = |path: &Path, seconds: u64, nanoseconds: u32| {
        let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        File::open(path).unwrap().set_modified(time).unwrap();
    };
    fs::create_dir_all(root.join("Default/Cache/Cache_Data")).unwrap();
    fs::create_dir_all(root.join("Default/empty")).unwrap();
    for index in 0..300u32 {
        let path = root.join(format!("Default/Cache/Cache_Data/f_{index:06x}"));
        fs::write(&path, noise(index as usize * 37, u64::from(index))).unwrap();
        date(&path, 1_600_000_000 + u64::from(index), index * 1000 + 1);
    }
    fs::write(root.join("Default/Cookies"), noise(3_000_000, 5)).unwrap();
    fs::write(root.join("Default/zeros"), vec![0; 2_000_000]).unwrap();
    fs::write(root.join("First Run"), "").unwrap();
    fs::set_permissions(root.join("First Run"), Permissions::from_mode(0o600)).unwrap();
    fs::write(root.join("naïve – 文字 \\ \" name"), "unicode").unwrap();
    let deep = root
        .join("Default")
        .join("a-rather-long-component/".repeat(12));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "deep").unwrap();
    fs::set_permissions(deep.join("file"), Permissions::from_mode(0o4755)).unwrap();
    symlink("host-4711", root.join("SingletonLock")).unwrap();
    symlink("../../First Run", root.join("Default/Cache/link")).unwrap();
    symlink("x/".repeat(90), root.join("long link")).unwrap();
    fs::set_permissions(root.join("Default/empty"), Permissions::from_mode(0o500)).unwrap();
    date(&root.join("Default/empty"), 1_000_000_001, 5);
    date(&root.join("Default/Cache"), 1_000_000_003, 7);
}

/// Links have times of their own, which zip cannot set apart from the rest.
#[tokio::test]
async fn a_profile_survives_both_archives() {
    let place = Place::new();
    profile(&place.path("profile"));
    let before = tree(&place.path("profile"));
    let hidden = place.path(&format!("profile/.browserd-part-{}", "00".repeat(16)));
    fs::write(hidden, "not packed").unwrap();

    let archive = pack(&place.files, &place.path("profile"), TAR)
        .await
        .unwrap();
    let done = unpack(&place.files, &archive, &place.path("tar/new"), TAR_KIND)
        .await
        .unwrap();
    assert_eq!(done.entries, before.len());
    assert_same(&tree(&place.path("tar/new")), &before);
    assert_eq!(
        fs::metadata(place.path("tar")).unwrap().mode() & 0o777,
        0o755
    );

    let archive = pack(&place.files, &place.path("profile"), PackFormat::Zip)
        .await
        .unwrap();
    let kind = ArchiveKind::Zip;
    let done = unpack(&place.files, &archive, &place.path("zip"), kind)
        .await
        .unwrap();
    assert_eq!(done.entries, before.len());
    assert_same(&tree(&place.path("zip")), &whole_seconds(before));
}

#[tokio::test]
async fn other_programs_read_what_is_packed() {
    let place = Place::new();
    profile(&place.path("profile"));
    // unzip takes a backslash for a slash.
    fs::remove_file(place.path("profile/naïve – 文字 \\ \" name")).unwrap();
    let before = tree(&place.path("profile"));
    for compression in [
        Compression::Fastest,
        Compression::Default,
        Compression::Better,
        Compression::Best,
    ] {
        let format = PackFormat::TarZst(compression);
        let archive = pack(&place.files, &place.path("profile"), format)
            .await
            .unwrap();
        fs::write(place.path("a.tar.zst"), archive).unwrap();
        let out = place.path(&format!("{compression:?}"));
        fs::create_dir(&out).unwrap();
        run("tar", &["--zstd", "-xpf", "../a.tar.zst"], &out).await;
        assert!(tree(&out) == before, "{compression:?}");
    }
    let archive = pack(&place.files, &place.path("profile"), PackFormat::Zip)
        .await
        .unwrap();
    fs::write(place.path("a.zip"), archive).unwrap();
    fs::create_dir(place.path("zip")).unwrap();
    run("unzip", &["-q", "-K", "../a.zip"], &place.path("zip")).await;
    let mut unzipped = whole_seconds(tree(&place.path("zip")));
    let mut expected = whole_seconds(before);
    // unzip leaves the times of links alone.
    for (path, (mode, time, _)) in unzipped.iter_mut().chain(expected.iter_mut()) {
        if *mode & 0o170_000 == 0o120_000 {
            *time = 0;
        }
        assert!(!path.is_empty());
    }
    assert_same(&unzipped, &expected);
}

#[tokio::test]
async fn what_other_programs_pack_is_read() {
    let place = Place::new();
    profile(&place.path("profile"));
    fs::hard_link(
        place.path("profile/First Run"),
        place.path("profile/Default/second"),
    )
    .unwrap();
    let before = tree(&place.path("profile"));
    for format in ["gnu", "pax", "ustar"] {
        // ustar holds neither the long names nor the long link.
        let dir = if format == "ustar" {
            "profile/Default/Cache/Cache_Data"
        } else {
            "profile"
        };
        let option = format!("--format={format}");
        run(
            "tar",
            &["--zstd", &option, "-cf", "a.tar.zst", "-C", dir, "."],
            &place.root(),
        )
        .await;
        let archive = fs::read(place.path("a.tar.zst")).unwrap();
        let out = place.path(format);
        unpack(&place.files, &archive, &out, TAR_KIND)
            .await
            .unwrap();
        let before = tree(&place.path(dir));
        if format == "pax" {
            assert!(tree(&out) == before);
            let inode = |name: &str| fs::metadata(out.join(name)).unwrap().ino();
            assert_eq!(
                inode("First Run"),
                inode("Default/second"),
                "a hard link stays one"
            );
        } else {
            assert!(tree(&out) == whole_seconds(before), "{format}");
        }
    }
    run(
        "zip",
        &["-1", "-q", "-r", "-y", "../a.zip", "."],
        &place.path("profile"),
    )
    .await;
    let archive = fs::read(place.path("a.zip")).unwrap();
    unpack(&place.files, &archive, &place.path("zip"), ArchiveKind::Zip)
        .await
        .unwrap();
    assert_same(&tree(&place.path("zip")), &whole_seconds(before));
}

async fn run(program: &str, args: &[&str], dir: &Path) {
    let status = Command::new(program)
        .args(args)
        .current_dir(dir)
        .status()
        .await
        .unwrap();
    assert!(status.success(), "{program} {args:?}: {status}");
}

#[tokio::test]
async fn leading_components_are_dropped() {
    let place = Place::new();
    fs::create_dir_all(place.path("src/repo-1.0/bin")).unwrap();
    fs::write(place.path("src/repo-1.0/bin/tool"), "tool").unwrap();
    fs::write(place.path("src/repo-1.0/README"), "readme").unwrap();
    fs::write(place.path("src/top"), "top").unwrap();
    let archive = pack(&place.files, &place.path("src"), TAR).await.unwrap();
    let kind = ArchiveKind::TarZst {
        strip_components: 1,
    };
    unpack(&place.files, &archive, &place.path("one"), kind)
        .await
        .unwrap();
    let names: Vec<String> = tree(&place.path("one")).into_keys().collect();
    assert_eq!(names, ["README", "bin", "bin/tool"]);
    let kind = ArchiveKind::TarZst {
        strip_components: 9,
    };
    unpack(&place.files, &archive, &place.path("none"), kind)
        .await
        .unwrap();
    assert!(tree(&place.path("none")).is_empty());
}

#[tokio::test]
async fn what_is_there_is_merged_with() {
    let place = Place::new();
    fs::create_dir_all(place.path("src/dir/sub")).unwrap();
    fs::write(place.path("src/dir/new"), "new").unwrap();
    fs::write(place.path("src/dir/both"), "from the archive").unwrap();
    symlink("both", place.path("src/dir/link")).unwrap();
    fs::create_dir_all(place.path("dest/dir")).unwrap();
    fs::write(place.path("dest/dir/both"), "old").unwrap();
    fs::write(place.path("dest/dir/old"), "stays").unwrap();
    fs::write(place.path("dest/dir/link"), "a file").unwrap();
    let root = may_mount();
    if root {
        std::os::unix::fs::chown(place.path("dest/dir/both"), Some(1234), Some(4321)).unwrap();
    }
    for (format, kind) in [(TAR, TAR_KIND), (PackFormat::Zip, ArchiveKind::Zip)] {
        let archive = pack(&place.files, &place.path("src"), format)
            .await
            .unwrap();
        unpack(&place.files, &archive, &place.path("dest"), kind)
            .await
            .unwrap();
        let names: Vec<String> = tree(&place.path("dest")).into_keys().collect();
        assert_eq!(
            names,
            [
                "dir", "dir/both", "dir/link", "dir/new", "dir/old", "dir/sub"
            ]
        );
        assert_eq!(
            fs::read(place.path("dest/dir/both")).unwrap(),
            b"from the archive"
        );
        assert!(
            fs::symlink_metadata(place.path("dest/dir/link"))
                .unwrap()
                .is_symlink()
        );
        if root {
            let both = fs::metadata(place.path("dest/dir/both")).unwrap();
            assert_eq!((both.uid(), both.gid()), (1234, 4321));
        }
    }
    // A directory does not give way to a file, nor the reverse, and then nothing is changed.
    fs::create_dir(place.path("dest/dir/both.d")).unwrap();
    fs::write(place.path("src/dir/both.d"), "").unwrap();
    fs::write(place.path("src/another"), "").unwrap();
    let archive = pack(&place.files, &place.path("src"), TAR).await.unwrap();
    let before = tree(&place.path("dest"));
    let refused = unpack(&place.files, &archive, &place.path("dest"), TAR_KIND).await;
    assert_os(refused, OsKind::IsDirectory);
    assert!(tree(&place.path("dest")) == before);
    fs::write(place.path("file"), "").unwrap();
    let refused = unpack(&place.files, &archive, &place.path("file"), TAR_KIND).await;
    assert_os(refused, OsKind::NotDirectory);
}

#[tokio::test]
async fn a_mounted_file_is_overwritten_by_an_archive() {
    if !may_mount() {
        return;
    }
    let place = Place::new();
    fs::create_dir_all(place.path("src")).unwrap();
    fs::write(place.path("src/file"), "new").unwrap();
    fs::create_dir_all(place.path("dest")).unwrap();
    fs::write(place.path("dest/file"), "").unwrap();
    fs::write(place.path("outer"), "old and long").unwrap();
    let _mount = Mount::bind(&place.path("outer"), &place.path("dest/file"));
    let archive = pack(&place.files, &place.path("src"), TAR).await.unwrap();
    unpack(&place.files, &archive, &place.path("dest"), TAR_KIND)
        .await
        .unwrap();
    assert_eq!(fs::read(place.path("outer")).unwrap(), b"new");
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_of_an_archive() {
    if !may_mount() {
        return;
    }
    let place = Place::new();
    fs::create_dir_all(place.path("small")).unwrap();
    let _mount = Mount::tmpfs(&place.path("small"), "1m");
    profile(&place.path("src"));
    let archive = pack(&place.files, &place.path("src"), TAR).await.unwrap();
    let dest = place.path("small/dest");
    assert_os(
        unpack(&place.files, &archive, &dest, TAR_KIND).await,
        OsKind::NoSpace,
    );
    assert_eq!(fs::read_dir(place.path("small")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_consumer_that_leaves_ends_the_packing() {
    let place = Place::with(|config| config.max_archives = 1);
    fs::write(place.path("large"), noise(30_000_000, 2)).unwrap();
    let root = fs_path(&place.root());
    for format in [TAR, PackFormat::Zip] {
        // The one before may not have ended yet.
        let mut packed = loop {
            match place.files.pack(&root, format).await {
                Ok(packed) => break packed,
                Err(error) => assert!(matches!(error, Error::TooManyArchives { limit: 1 })),
            }
            tokio::task::yield_now().await;
        };
        packed.next().await.unwrap().unwrap();
        let refused = place.files.pack(&root, format).await;
        assert!(
            matches!(refused, Err(Error::TooManyArchives { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn only_directories_are_packed() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    for format in [TAR, PackFormat::Zip] {
        let file = place
            .files
            .pack(&fs_path(&place.path("file")), format)
            .await;
        assert_os(file, OsKind::NotDirectory);
        let missing = place
            .files
            .pack(&fs_path(&place.path("missing")), format)
            .await;
        assert_os(missing, OsKind::NotFound);
    }
}
