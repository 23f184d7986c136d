//! The reader of zip archives. An input is an archive, or else a script of one (see `script.rs`).

#![no_main]

use std::env;

use browserd_files::ArchiveKind;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/files/forge.rs"]
mod forge;
#[expect(dead_code, reason = "the other target and the tests use the rest")]
#[path = "../../tests/files/script.rs"]
mod script;

use script::{Sandbox, script_zip};

thread_local! {
    static SANDBOX: Sandbox = Sandbox::new(&env::temp_dir());
}

fuzz_target!(|input: &[u8]| {
    let made;
    let archive = if input.starts_with(b"PK") {
        input
    } else {
        made = script_zip(input);
        &made
    };
    SANDBOX.with(|sandbox| sandbox.try_archive(archive, ArchiveKind::Zip));
});
