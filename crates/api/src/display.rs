//! The size of the screen.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The size of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct DisplayConfig {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Frames per second; 0 where the X server tells none.
    pub refresh_rate: u16,
}

/// What is to change of the screen. At least one of the first three is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchDisplayRequest {
    /// Pixels across; as it is without it.
    #[schema(minimum = 320, maximum = 3840)]
    pub width: Option<u16>,
    /// Pixels down; as it is without it.
    #[schema(minimum = 240, maximum = 2160)]
    pub height: Option<u16>,
    /// Frames per second. Without it: 10 for 2560x1440, 25 for 1920x1080, 1920x1200 and 1440x900,
    /// 60 for every other size.
    #[schema(minimum = 1, maximum = 240)]
    pub refresh_rate: Option<u16>,
    /// Refuse while a viewer or a recording is active. This daemon serves neither, so there is never
    /// one, and it changes nothing.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub require_idle: bool,
    /// Close Chromium in good order afterwards and start it again, which takes a second or more. The
    /// window follows the screen without it too.
    #[serde(default)]
    pub restart_chromium: bool,
}

fn yes() -> bool {
    true
}
