//! The settings of the screen, the mouse and the keyboard.

use browserd_display::input::Backend;
use clap::Args;

use super::parse;

/// How the screen is seen and worked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Computer")]
pub(crate) struct Computer {
    /// Way to the mouse and the keyboard: x11 (in the process), xdotool (a process each), or
    /// auto, which is x11
    #[arg(long, env = "INPUT_BACKEND", default_value = "auto", value_parser = parse::backend)]
    pub(crate) input_backend: Backend,
    /// There is no X display: what needs one is answered with 501
    #[arg(long, env = "NO_DISPLAY", default_value = "false", value_parser = parse::boolean,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) no_display: bool,
}
