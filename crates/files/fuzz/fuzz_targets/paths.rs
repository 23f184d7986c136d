//! The rules of paths: what callers may name, and where the entries of an archive may lead. An
//! input is a path by itself, and a script of an archive (see `script.rs`).

#![no_main]

use std::{env, ffi::OsStr, os::unix::ffi::OsStrExt, path::Component};

use browserd_files::{ArchiveKind, FsPath};
use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "the other target and the tests use the rest")]
#[path = "../../tests/files/forge.rs"]
mod forge;
#[expect(dead_code, reason = "the other target and the tests use the rest")]
#[path = "../../tests/files/script.rs"]
mod script;

use script::{Sandbox, script_tar};

thread_local! {
    static SANDBOX: Sandbox = Sandbox::new(&env::temp_dir());
}

fuzz_target!(|input: &[u8]| {
    if let Ok(path) = FsPath::parse(OsStr::from_bytes(input)) {
        let kept = path.as_path();
        let mut parts = kept.components();
        assert_eq!(parts.next(), Some(Component::RootDir));
        assert!(parts.all(|part| matches!(part, Component::Normal(_))));
        let bytes = kept.as_os_str().as_bytes();
        assert!(!bytes.contains(&0) && bytes.len() <= 4095);
        assert!(
            bytes
                .split(|byte| *byte == b'/')
                .all(|name| name.len() <= 255)
        );
        assert_eq!(FsPath::parse(kept).ok().as_ref(), Some(&path));
    }
    let kind = ArchiveKind::TarZst {
        strip_components: input.first().map_or(0, |byte| usize::from(byte % 8 == 7)),
    };
    SANDBOX.with(|sandbox| sandbox.try_archive(&script_tar(input), kind));
});
