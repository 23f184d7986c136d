//! What becomes of shared memory and of a connection that was given up, on a real X server.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

struct Xvfb(Child);

impl Xvfb {
    fn start() -> (Self, Grabber) {
        let (reader, writer) = std::io::pipe().unwrap();
        let server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-noreset", "-ac", "-nolisten", "tcp"])
            .args(["-screen", "0", "640x480x24"])
            .stdout(writer)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self(server);
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).unwrap();
        let display = Display::new(line.trim().parse().unwrap());
        (server, Grabber::new(display, Hidden::default()))
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

const WHOLE: [Wanted; 1] = [Wanted {
    region: None,
    cursor: false,
}];

fn idle(grabber: &Grabber) -> usize {
    grabber.pool.lock().unwrap().len()
}

#[test]
fn a_rest_after_the_deadline_leaves_the_connection_whole() {
    let (_server, mut grabber) = Xvfb::start();
    drop(grabber.grab(&WHOLE).unwrap());
    assert_eq!(idle(&grabber), 1);
    grabber.link().unwrap().connection.allow(Duration::ZERO);
    grabber.rest();
    assert_eq!(idle(&grabber), 0);
    drop(grabber.grab(&WHOLE).unwrap());
    assert_eq!((idle(&grabber), grabber.serial), (1, 1), "it was kept");
}

#[test]
fn a_request_that_was_not_sent_ends_its_connection() {
    let (_server, mut grabber) = Xvfb::start();
    drop(grabber.grab(&WHOLE).unwrap());
    let connection = &grabber.link().unwrap().connection;
    connection.allow(Duration::ZERO);
    assert!(matches!(connection.round_trip(), Err(Error::Lost { .. })));
    connection.allow(PATIENCE);
    assert!(
        matches!(connection.round_trip(), Err(Error::Lost { .. })),
        "no answer may be taken for that of another request"
    );
    drop(grabber.grab(&WHOLE).unwrap());
    assert_eq!(grabber.serial, 2, "it was made anew");
}

#[test]
fn memory_that_the_server_may_still_write_to_is_lent_to_nobody() {
    let (server, mut grabber) = Xvfb::start();
    drop(grabber.grab(&WHOLE).unwrap());
    let screen = grabber.measure(&WHOLE).unwrap().1;
    server.signal(Signal::STOP);
    let connection = &grabber.link().unwrap().connection;
    connection.allow(Duration::from_millis(100));
    let taken = grabber.take(screen);
    server.signal(Signal::CONT);
    assert!(matches!(taken, Err(Error::Lost { .. })));
    assert_eq!(idle(&grabber), 0);
    drop(grabber.grab(&WHOLE).unwrap());
    assert_eq!((idle(&grabber), grabber.serial), (1, 2));
}
