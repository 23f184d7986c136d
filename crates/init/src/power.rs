//! The power button of a machine, which a hypervisor presses to have it stop.

use std::{fs, io, path::Path, sync::Arc};

use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::{OpenOptions, Receiver},
    sync::Notify,
};

/// Bytes of a `struct input_event` of `linux/input.h`, and of the time in front of it.
const EVENT: usize = 24;
const TIME: usize = 16;
/// `EV_KEY` and `KEY_POWER` of `linux/input-event-codes.h`, with 1 for a press.
const PRESS: (u16, u16, i32) = (1, 116, 1);

/// The devices of a folder, `/dev/input`, that may have a power button. Without the drivers for
/// them there is none, and no button either.
pub(crate) fn devices(folder: &Path) -> Vec<Receiver> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let events = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"event"));
    let open = |path: &Path| {
        // A device is waited for and read from as a pipe is.
        let device = OpenOptions::new().unchecked(true).open_receiver(path);
        let warn = |error: &io::Error| {
            tracing::warn!(device = %path.display(), %error, "cannot watch a button");
        };
        device.inspect_err(warn).ok()
    };
    events.filter_map(|entry| open(&entry.path())).collect()
}

/// Watches a device, and tells of each press of a power button. Ends with the device.
///
/// # Cancel safety
/// The future can be dropped at any time.
pub(crate) async fn watch(mut device: Receiver, pressed: Arc<Notify>) -> io::Result<()> {
    let mut events = [0; EVENT * 16];
    loop {
        // The kernel gives whole events.
        let read = device.read(&mut events).await?;
        if read == 0 {
            return Ok(());
        }
        if events[..read].chunks_exact(EVENT).any(is_press) {
            pressed.notify_one();
        }
    }
}

fn is_press(event: &[u8]) -> bool {
    let (kind, code, value) = PRESS;
    let press = [kind.to_ne_bytes(), code.to_ne_bytes()].concat();
    event
        .get(TIME..)
        .and_then(|event| event.strip_prefix(press.as_slice()))
        .is_some_and(|pressed| pressed == value.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _, time::Duration};

    use nix::{sys::stat::Mode, unistd::mkfifo};
    use tokio::time::timeout;
    use tokio_util::task::TaskTracker;

    use super::*;

    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut event = vec![0; 16];
        event.extend(kind.to_ne_bytes());
        event.extend(code.to_ne_bytes());
        event.extend(value.to_ne_bytes());
        event
    }

    #[tokio::test]
    async fn only_a_press_of_the_power_button_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event3");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        fs::write(folder.path().join("mouse0"), "").unwrap();
        let mut found = devices(folder.path());
        assert_eq!(found.len(), 1);
        let mut keys = File::options().write(true).open(&path).unwrap();
        let pressed = Arc::<Notify>::default();
        let watching = TaskTracker::new().spawn(watch(found.remove(0), pressed.clone()));
        // Another key, the end of such an event, and the release of the button.
        for other in [event(1, 30, 1), event(0, 0, 0), event(1, 116, 0)] {
            keys.write_all(&other).unwrap();
        }
        let none = timeout(Duration::from_millis(50), pressed.notified()).await;
        assert!(none.is_err());
        let press = [event(0, 0, 0), event(1, 116, 1)].concat();
        keys.write_all(&press).unwrap();
        timeout(Duration::from_secs(20), pressed.notified())
            .await
            .unwrap();
        drop(keys);
        watching.await.unwrap().unwrap();
    }

    #[test]
    fn a_machine_without_buttons_is_no_failure() {
        assert!(devices(Path::new("/nowhere")).is_empty());
    }
}
