//! What is wrong with the way in which a machine is run is told in its log.

use std::time::Duration;

use anyhow::ensure;
use browserd_e2e::{assert_eventually, container::Builder};

use crate::Image;

/// How long a container may take to say something on a quiet machine.
const START: Duration = Duration::from_secs(30);

pub(crate) async fn a_wrong_setting_is_told(image: Image) -> anyhow::Result<()> {
    let builder = Builder::new(&image).env("WIDTH", "abc");
    let container = builder.start_unready().await?;
    assert_eventually!(
        within: START,
        "the container has ended",
        container.inspect("{{.State.Status}}").await? == "exited"
    );
    assert_eq!(container.inspect("{{.State.ExitCode}}").await?, "64");
    let logs = container.logs().await?;
    ensure!(
        logs.starts_with("browserd: WIDTH=abc cannot be used"),
        "{logs}"
    );
    Ok(())
}

pub(crate) async fn little_shared_memory_is_told(image: Image) -> anyhow::Result<()> {
    // The later of two options counts.
    let container = Builder::new(&image)
        .option("--shm-size=64m")
        .start()
        .await?;
    let logs = container.logs().await?;
    ensure!(logs.contains("/dev/shm is small"), "{logs}");
    Ok(())
}

pub(crate) async fn a_full_volume_is_told(image: Image) -> anyhow::Result<()> {
    let builder = Builder::new(&image).option("--tmpfs=/home/kernel/user-data:size=1m");
    let container = builder.start_unready().await?;
    assert_eventually!(
        within: START,
        "the log tells of it",
        container
            .logs()
            .await?
            .contains("the volume of the profile is full")
    );
    Ok(())
}
