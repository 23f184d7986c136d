//! What the tests' daemons start to become another user; the daemon itself starts itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    browserd_process::become_program()
}
