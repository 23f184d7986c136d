//! Archives out and in again, and those that are refused.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use browserd_e2e::Call;

use super::{Machine, Outcome, uploads::form};
use crate::shared::Suite;

/// Kind and mode, time of change, content or target.
type Entry = (String, u32, i64, Vec<u8>);

pub(crate) async fn a_tree_survives_both_archives(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    let from = machine.path("from");
    fs::create_dir_all(format!("{from}/deep/er"))?;
    fs::create_dir(format!("{from}/empty"))?;
    fs::write(format!("{from}/naïve ✓.txt"), "text")?;
    fs::write(format!("{from}/deep/er/large"), vec![3; 3 << 20])?;
    fs::write(format!("{from}/deep/program"), "#!/bin/sh\n")?;
    let mode = fs::Permissions::from_mode(0o750);
    fs::set_permissions(format!("{from}/deep/program"), mode)?;
    symlink("deep/program", format!("{from}/link"))?;
    let wanted = tree(from.as_ref())?;
    for (route, level, upload, part) in [
        ("download_dir_zip", "", "/fs/upload_zip", "zip_file"),
        (
            "download_dir_zstd",
            "&compression_level=fastest",
            "/fs/upload_zstd",
            "archive",
        ),
    ] {
        let call = Call::get(format!("/fs/{route}?path={from}{level}"));
        let archive = machine.send(call).await?.expect(200)?.body;
        let to = machine.path(route);
        let call = form(upload, &[(part, &archive), ("dest_path", to.as_bytes())]);
        machine.send(call).await?.expect(201)?;
        assert_eq!(tree(to.as_ref())?, wanted, "{route}");
        // Half of it is no archive.
        let half = machine.path("half");
        let cut = &archive[..archive.len() / 2];
        let call = form(upload, &[("dest_path", half.as_bytes()), (part, cut)]);
        machine.send(call).await?.expect(400)?;
        let left = fs::read_dir(&half).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{route}");
    }
    Ok(())
}

fn tree(root: &Path) -> anyhow::Result<Vec<Entry>> {
    let (mut entries, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let metadata = fs::symlink_metadata(&path)?;
            let content = if metadata.is_symlink() {
                fs::read_link(&path)?.into_os_string().into_encoded_bytes()
            } else if metadata.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path)?
            };
            let name = path.strip_prefix(root)?.display().to_string();
            entries.push((name, metadata.mode(), metadata.mtime(), content));
        }
    }
    entries.sort();
    Ok(entries)
}

pub(crate) async fn hostile_archives_change_nothing(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    let victim = machine.path("victim");
    fs::create_dir(&victim)?;
    let to = format!("{victim}/to");
    let out = machine.path("out");
    for (what, archive) in [
        ("a name that climbs", tar(&[("../evil", b'0', "")])),
        (
            "an absolute name",
            tar(&[(&format!("{out}/evil"), b'0', "")]),
        ),
        ("a link out", tar(&[("link", b'2', "../..")])),
        ("a hard link out", tar(&[("link", b'1', "/etc/passwd")])),
        (
            "a write through a link",
            tar(&[("link", b'2', &out), ("link/evil", b'0', "")]),
        ),
        ("a device", tar(&[("null", b'3', "")])),
    ] {
        let parts: [(&str, &[u8]); 2] =
            [("archive", &zstd(&archive)), ("dest_path", to.as_bytes())];
        let call = form("/fs/upload_zstd", &parts);
        let answer = machine.send(call).await?;
        assert_eq!(answer.status.as_u16(), 400, "{what}: {}", answer.text());
        assert!(
            answer.text().contains("archive"),
            "{what}: {}",
            answer.text()
        );
        let inside = fs::read_dir(&to).map_or(0, Iterator::count);
        assert_eq!(inside, 0, "{what}");
    }
    // A whole zip archive, then with another name of the same length.
    fs::create_dir_all(machine.path("from/aa"))?;
    fs::write(machine.path("from/aa/evil"), "x")?;
    let call = Call::get(format!(
        "/fs/download_dir_zip?path={}",
        machine.path("from")
    ));
    let mut archive = machine.send(call).await?.expect(200)?.body.to_vec();
    let name = b"aa/evil";
    for at in 0..archive.len() - name.len() {
        if &archive[at..at + name.len()] == name {
            archive[at..at + 2].copy_from_slice(b"..");
        }
    }
    let parts: [(&str, &[u8]); 2] = [("zip_file", &archive), ("dest_path", to.as_bytes())];
    machine
        .send(form("/fs/upload_zip", &parts))
        .await?
        .expect(400)?;
    assert_eq!(fs::read_dir(&to).map_or(0, Iterator::count), 0);
    assert!(!fs::exists(out)? && !fs::exists(format!("{victim}/evil"))?);
    Ok(())
}

/// A tar archive of empty entries, each with its kind and link (POSIX.1-1988).
fn tar(entries: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, kind, link) in entries {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(b"00000000000");
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = *kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend_from_slice(&header);
    }
    archive.extend_from_slice(&[0; 1024]);
    archive
}

/// A frame of one block that is not compressed (RFC 8878); for less than 128 KiB.
fn zstd(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a short archive");
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0xA0];
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&((length << 3) | 1).to_le_bytes()[..3]);
    frame.extend_from_slice(content);
    frame
}
