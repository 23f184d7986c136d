//! Whatever an archive has in it, it changes its destination as a whole or nothing at all, and
//! nothing outside. The fuzz targets try the same for longer.

use browserd_files::ArchiveKind;
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestRunner};

use crate::script::{Sandbox, script_tar, script_zip};

const TAR: ArchiveKind = ArchiveKind::TarZst {
    strip_components: 0,
};
const PARTS: [&str; 14] = [
    "a", "b", "c", "dir", "file", "way", "inner", ".", "..", "", "outside", "é\\x", "C:", "...",
];

fn path() -> impl Strategy<Value = String> {
    (any::<bool>(), vec(select(PARTS.to_vec()), 1..5)).prop_map(|(absolute, parts)| {
        let slash = if absolute && parts.len() > 3 { "/" } else { "" };
        format!("{slash}{}", parts.join("/"))
    })
}

fn script() -> impl Strategy<Value = Vec<u8>> {
    let line = (select(b"ffffddllhx".to_vec()), path(), path());
    let line = line.prop_map(|(kind, name, rest)| format!("{}{name}\t{rest}", char::from(kind)));
    vec(line, 1..6).prop_map(|lines| lines.join("\n").into_bytes())
}

/// Runs the cases; some of the archives must be taken and some refused, or they would show nothing.
fn run<T: std::fmt::Debug>(
    cases: u32,
    strategy: &impl Strategy<Value = T>,
    one: impl Fn(&Sandbox, &T) -> bool,
) {
    let sandbox = Sandbox::new("/dev/shm".as_ref());
    let taken = std::cell::Cell::new(0);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let done = TestRunner::new(config).run(strategy, |value| {
        taken.set(taken.get() + u32::from(one(&sandbox, &value)));
        Ok(())
    });
    done.unwrap();
    let taken = taken.get();
    assert!(0 < taken && taken < cases, "{taken} of {cases} were taken");
}

#[test]
fn any_names_and_links() {
    run(400, &script(), |sandbox, script| {
        let tar = sandbox.try_archive(&script_tar(script), TAR);
        sandbox.try_archive(&script_zip(script), ArchiveKind::Zip) | tar
    });
}

#[test]
fn any_bytes_changed() {
    let good = b"da\nfa/file\tcontent\nfb\tmore\nla/up\t../b\nd..d";
    let (zip, tar) = (script_zip(good), script_tar(good));
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    run(600, &changes, |sandbox, changes| {
        let change = |archive: &[u8]| {
            let mut archive = archive.to_vec();
            for (at, byte) in changes {
                let at = at.index(archive.len());
                archive[at] = *byte;
            }
            archive
        };
        let taken = sandbox.try_archive(&change(&tar), TAR);
        sandbox.try_archive(&change(&zip), ArchiveKind::Zip) | taken
    });
}
