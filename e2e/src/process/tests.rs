//! Nothing is left behind, whatever a process did.

use super::*;
use crate::{assert_eventually, procfs};

fn mentioning(text: &str) -> usize {
    let all = procfs::all();
    let alive = all.iter().filter(|(_, stat)| !stat.is_zombie);
    alive
        .filter(|(pid, _)| procfs::mentions(**pid, text))
        .count()
}

#[tokio::test]
async fn an_orphan_in_a_session_of_its_own_is_killed() {
    let name = unique();
    let script = format!("(setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' {name} &)");
    let mut process = Launch::new("sh").arg("-c").arg(script).spawn().unwrap();
    process.wait(Duration::from_secs(5)).await.unwrap();
    assert_eventually!("the orphan runs", mentioning(&name) > 0);
    assert!(
        !process.stop(),
        "TERM was enough for a process that ignores it"
    );
    assert_eq!(mentioning(&name), 0);
}

#[tokio::test]
async fn a_process_that_obeys_is_not_killed() {
    let mut process = Launch::new("sleep").arg("60").spawn().unwrap();
    assert!(process.is_running());
    assert!(process.stop());
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&process.status.unwrap()),
        Some(15)
    );
}

#[tokio::test]
async fn a_panic_takes_the_process_down() {
    let name = unique();
    let argument = name.clone();
    let result = std::panic::catch_unwind(move || {
        let _process = Launch::new("sh")
            .args(["-c", "sleep 60; true", &argument])
            .spawn()
            .unwrap();
        panic!("the test failed");
    });
    assert!(result.is_err());
    assert_eq!(mentioning(&name), 0);
}
