//! Pictures of the screen.
//!
//! One task owns the connection. It takes all requests that wait at the moment, grabs the pixels
//! once for all of them, and lets other threads encode, once for equal requests. Nothing is
//! grabbed before there is a thread to encode it, so that no frames pile up:
//!
//! ```text
//! request ─► queue ─► (a free encoder) ─► one grab ─► encode ─► everyone who asked for it
//! ```

mod frame;
mod grab;
mod region;
mod sys;

use std::{num::NonZero, sync::Arc, thread, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use frame::Frame;
use grab::{Grabber, Wanted};
pub use region::Region;

use crate::{
    Cursor, Display, Error,
    cursor::Hidden,
    encode::{self, Picture, Shot},
};

/// How many requests may wait; more of them wait for a place.
const QUEUE: usize = 256;
/// After how long without a request the memory for pixels is given back.
const REST: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Request {
    shot: Shot,
    answer: oneshot::Sender<Result<Picture, Error>>,
}

/// Takes pictures of the screen. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Screen(mpsc::Sender<Request>);

impl Screen {
    /// The handle, and the future that does its work until the token is cancelled or the last
    /// handle is dropped. Pictures leave out a cursor that `cursor` hides.
    pub fn spawn(
        display: Display,
        cursor: &Cursor,
        token: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (requests, queue) = mpsc::channel(QUEUE);
        let encoders = thread::available_parallelism().map_or(1, NonZero::get);
        let owner = Owner {
            grabber: None,
            display,
            hidden: cursor.hidden(),
            queue,
            encoders: Arc::new(Semaphore::new(encoders)),
            encoding: TaskTracker::new(),
        };
        let run = async move {
            token.run_until_cancelled_owned(owner.run()).await;
        };
        (Self(requests), run)
    }

    /// Takes a picture: the screen as it is at some moment after the call.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Scale`] and [`Error::RegionOutside`] for what cannot be
    /// taken, [`Error::Unreachable`] and its like while there is no X server.
    ///
    /// # Cancel safety
    /// Dropping the future takes the request back, where its turn has not come yet.
    pub async fn screenshot(&self, shot: Shot) -> Result<Picture, Error> {
        shot.check()?;
        let (answer, picture) = oneshot::channel();
        let sent = self.0.send(Request { shot, answer }).await;
        sent.map_err(|_| Error::Interrupted)?;
        picture.await.unwrap_or(Err(Error::Interrupted))
    }
}

struct Owner {
    display: Display,
    hidden: Hidden,
    /// Away while it works, and before the first request.
    grabber: Option<Grabber>,
    queue: mpsc::Receiver<Request>,
    encoders: Arc<Semaphore>,
    encoding: TaskTracker,
}

impl Owner {
    async fn run(mut self) {
        let mut resting = true;
        loop {
            let first = if resting {
                self.queue.recv().await
            } else if let Ok(first) = timeout(REST, self.queue.recv()).await {
                first
            } else {
                self.with_grabber(Grabber::rest).await;
                resting = true;
                continue;
            };
            let Some(first) = first else { return };
            resting = false;
            let Ok(permit) = Arc::clone(&self.encoders).acquire_owned().await else {
                return;
            };
            let mut requests = vec![first];
            while let Ok(request) = self.queue.try_recv() {
                requests.push(request);
            }
            requests.retain(|request| !request.answer.is_closed());
            if !requests.is_empty() {
                self.serve(requests, permit).await;
            }
        }
    }

    async fn serve(&mut self, requests: Vec<Request>, permit: OwnedSemaphorePermit) {
        let wanted: Vec<_> = requests
            .iter()
            .map(|request| Wanted {
                region: request.shot.region,
                cursor: request.shot.cursor,
            })
            .collect();
        let grabbed = self
            .with_grabber(move |grabber| grabber.grab(&wanted))
            .await;
        let (frame, verdicts) = match grabbed.unwrap_or(Err(Error::Interrupted)) {
            Ok(grabbed) => grabbed,
            Err(error) => {
                for request in requests {
                    // Whoever asked may have left; so everywhere below.
                    let _ = request.answer.send(Err(error.clone()));
                }
                return;
            }
        };
        let frame = Arc::new(frame);
        let mut permit = Some(permit);
        for (shot, answers) in grouped(requests, verdicts) {
            let (frame, encoders) = (Arc::clone(&frame), Arc::clone(&self.encoders));
            let held = permit.take();
            self.encoding.spawn(async move {
                let _permit = match held {
                    Some(permit) => Ok(permit),
                    None => encoders.acquire_owned().await,
                };
                let encoded = tokio::task::spawn_blocking(move || encode::encode(&frame, shot));
                let picture = encoded.await.unwrap_or(Err(Error::Interrupted));
                for answer in answers {
                    let _ = answer.send(picture.clone());
                }
            });
        }
    }

    /// Lets the grabber work on a thread that may block.
    async fn with_grabber<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Grabber) -> T + Send + 'static,
    ) -> Option<T> {
        let mut grabber = match self.grabber.take() {
            Some(grabber) => grabber,
            None => Grabber::new(self.display.clone(), self.hidden.clone()),
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut grabber);
            (grabber, done)
        });
        let (grabber, done) = done.await.ok()?;
        self.grabber = Some(grabber);
        Some(done)
    }
}

type Answers = Vec<oneshot::Sender<Result<Picture, Error>>>;

/// Puts equal requests together, and answers those that cannot be served.
fn grouped(requests: Vec<Request>, verdicts: Vec<Option<Error>>) -> Vec<(Shot, Answers)> {
    let mut groups: Vec<(Shot, Answers)> = Vec::new();
    for (request, verdict) in requests.into_iter().zip(verdicts) {
        if let Some(error) = verdict {
            let _ = request.answer.send(Err(error));
            continue;
        }
        match groups.iter_mut().find(|(shot, _)| *shot == request.shot) {
            Some((_, answers)) => answers.push(request.answer),
            None => groups.push((request.shot, vec![request.answer])),
        }
    }
    groups
}
