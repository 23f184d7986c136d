//! What the allocator keeps of memory that was freed: enough for the next request while there is
//! work, nothing of it afterwards. The one place that knows of it; docs/decisions.md has figures.

mod sys;

use std::{hint::black_box, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

pub(crate) use self::sys::{share_one, trim};

/// Between two looks at how busy the daemon is.
const LOOK: Duration = Duration::from_secs(10);
/// Processor time between two looks below which it counts as idle.
const IDLE: Duration = Duration::from_millis(50);
/// Processor time since the last trim from which there may be something to give back.
const WORTH: Duration = Duration::from_millis(100);

/// Lets the allocator keep up to 4 MiB that was freed from now on.
///
/// The C library goes by the largest block that was freed so far: it takes blocks of up to that
/// size from a heap, and leaves twice as much in it. Without this, what an upload is gathered in
/// would be given back to the kernel and asked for again page by page, a tenth of its time.
pub(crate) fn keep_some() {
    const BLOCK: usize = 2 * 1024 * 1024;
    drop(black_box(Vec::<u8>::with_capacity(BLOCK)));
}

/// Gives freed memory back 10 to 20 s after the work for which it was needed.
pub(crate) async fn tend(stop: CancellationToken) {
    let (mut last, mut since_trim) = (processor_time(), Duration::ZERO);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK) => {}
        }
        let now = processor_time();
        let used = now.saturating_sub(last);
        last = now;
        since_trim += used;
        if used < IDLE && since_trim >= WORTH {
            // It takes the lock of the heap, for up to some milliseconds.
            let _ = spawn_blocking(trim).await;
            (last, since_trim) = (processor_time(), Duration::ZERO);
        }
    }
}

/// What this process has used so far.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}
