//! The mouse, the keyboard, the screen and the clipboard.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A button of the mouse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MouseButton {
    /// The main button.
    #[default]
    Left,
    /// That of the context menu.
    Right,
    /// The wheel.
    Middle,
    /// Back in the history.
    Back,
    /// Forward in the history.
    Forward,
}

/// A button that can drag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DragButton {
    /// The main button.
    #[default]
    Left,
    /// The wheel.
    Middle,
    /// That of the context menu.
    Right,
}

/// What to do with a button.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClickType {
    /// Press it, and leave it down.
    Down,
    /// Release it.
    Up,
    /// Press and release it.
    #[default]
    Click,
}

/// Clicks at a place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClickMouseRequest {
    /// Pixels from the left edge of the screen.
    #[schema(minimum = 0)]
    pub x: i32,
    /// Pixels from the upper edge of the screen.
    #[schema(minimum = 0)]
    pub y: i32,
    /// The button.
    #[serde(default)]
    #[schema(inline, default = "left")]
    pub button: MouseButton,
    /// Press, release, or both.
    #[serde(default)]
    #[schema(inline, default = "click")]
    pub click_type: ClickType,
    /// Keys that are held meanwhile, by the names that `press_key` knows.
    #[serde(default)]
    #[schema(example = json!(["Shift"]))]
    pub hold_keys: Vec<String>,
    /// How often: 2 selects a word, 3 a line.
    #[serde(default = "one")]
    #[schema(default = 1, minimum = 1, maximum = 100)]
    pub num_clicks: u64,
}

/// A move of the pointer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveMouseRequest {
    /// Pixels from the left edge of the screen.
    #[schema(minimum = 0)]
    pub x: i32,
    /// Pixels from the upper edge of the screen.
    #[schema(minimum = 0)]
    pub y: i32,
    /// Along a curve, as a hand does; else at once.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub smooth: bool,
    /// Milliseconds that a smooth move takes; by the distance without it.
    #[schema(minimum = 50, maximum = 5000)]
    pub duration_ms: Option<u64>,
    /// Keys that are held meanwhile, by the names that `press_key` knows.
    #[serde(default)]
    pub hold_keys: Vec<String>,
}

/// A drag along a path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DragMouseRequest {
    /// The points, each `[x, y]` in pixels of the screen. The button is pressed at the first one
    /// and released at the last one.
    #[schema(min_items = 2, max_items = 1000, example = json!([[100, 200], [400, 200]]))]
    pub path: Vec<Vec<i32>>,
    /// The button.
    #[serde(default)]
    #[schema(inline, default = "left")]
    pub button: DragButton,
    /// Milliseconds between the press and the first move.
    #[serde(default)]
    pub delay: u64,
    /// Along curves, as a hand does; else in steps.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub smooth: bool,
    /// Milliseconds that a smooth drag takes; by the distance without it.
    #[schema(minimum = 50, maximum = 10000)]
    pub duration_ms: Option<u64>,
    /// Steps between two points, when not smooth.
    #[serde(default = "ten")]
    #[schema(default = 10, minimum = 1)]
    pub steps_per_segment: u64,
    /// Milliseconds between two steps, when not smooth.
    #[serde(default = "fifty")]
    #[schema(default = 50)]
    pub step_delay_ms: u64,
    /// Keys that are held meanwhile, by the names that `press_key` knows.
    #[serde(default)]
    pub hold_keys: Vec<String>,
}

/// Turns of the wheel at a place. One of the two directions is needed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrollRequest {
    /// Pixels from the left edge of the screen.
    #[schema(minimum = 0)]
    pub x: i32,
    /// Pixels from the upper edge of the screen.
    #[schema(minimum = 0)]
    pub y: i32,
    /// Ticks to the right, or to the left when negative. They come last.
    #[serde(default)]
    pub delta_x: i64,
    /// Ticks down, or up when negative. They come first.
    #[serde(default)]
    pub delta_y: i64,
    /// Keys that are held meanwhile, by the names that `press_key` knows.
    #[serde(default)]
    pub hold_keys: Vec<String>,
}

/// A text to type.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeTextRequest {
    /// The text. A line end is Return, a tab is Tab.
    #[schema(max_length = 100_000)]
    pub text: String,
    /// Milliseconds after each character.
    #[serde(default)]
    pub delay: u64,
    /// With the uneven rhythm of a hand.
    #[serde(default)]
    pub smooth: bool,
    /// The chance of a typo, which is then corrected, for each character when smooth.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 0.1)]
    pub typo_chance: f64,
}

/// Keys to press.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PressKeyRequest {
    /// Names of keys, or combinations of them. Without a duration they are pressed one after the
    /// other, unless the first is a modifier alone; with one they are all held together.
    #[schema(min_items = 1, example = json!(["Ctrl+Shift+Tab", "Return"]))]
    pub keys: Vec<String>,
    /// Milliseconds that they are held.
    #[serde(default)]
    pub duration: u64,
    /// Keys that are held meanwhile, by the names that `press_key` knows.
    #[serde(default)]
    pub hold_keys: Vec<String>,
}

/// A part of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScreenshotRegion {
    /// Pixels from the left edge of the screen.
    #[schema(minimum = 0)]
    pub x: i32,
    /// Pixels from the upper edge of the screen.
    #[schema(minimum = 0)]
    pub y: i32,
    /// Pixels across.
    #[schema(minimum = 1)]
    pub width: u32,
    /// Pixels down.
    #[schema(minimum = 1)]
    pub height: u32,
}

/// How a picture is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScreenshotFormat {
    /// PNG, every pixel as it is.
    #[default]
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

/// A picture to take.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScreenshotRequest {
    /// The part of the screen; all of it without one.
    pub region: Option<ScreenshotRegion>,
    /// How it is encoded.
    #[serde(default)]
    #[schema(inline, default = "png")]
    pub format: ScreenshotFormat,
    /// The quality of JPEG and WebP. PNG has none.
    #[serde(default = "eighty")]
    #[schema(default = 80, minimum = 1, maximum = 100)]
    pub quality: u16,
    /// The size of the picture in relation to what it shows.
    #[serde(default = "whole")]
    #[schema(default = 1.0, minimum = 0.1, maximum = 1.0)]
    pub scale: f64,
    /// Draw the cursor into it, unless it is hidden.
    #[serde(default)]
    pub cursor: bool,
}

/// Whether the cursor shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetCursorRequest {
    /// Hide it, or show it again.
    pub hidden: bool,
}

/// It is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Okay {
    /// Always true.
    pub ok: bool,
}

/// Where the pointer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct MousePosition {
    /// Pixels from the left edge of the screen.
    pub x: i32,
    /// Pixels from the upper edge of the screen.
    pub y: i32,
}

/// The text of the clipboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClipboardText {
    /// Empty when the clipboard holds nothing, or no text.
    pub text: String,
}

/// The text that the clipboard is to hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteClipboardRequest {
    /// The text.
    pub text: String,
}

/// What a step of a batch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionType {
    /// Clicks.
    ClickMouse,
    /// Moves the pointer.
    MoveMouse,
    /// Types a text.
    TypeText,
    /// Presses keys.
    PressKey,
    /// Turns the wheel.
    Scroll,
    /// Drags.
    DragMouse,
    /// Hides the cursor, or shows it.
    SetCursor,
    /// Waits.
    Sleep,
}

/// A wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SleepAction {
    /// Milliseconds.
    #[schema(minimum = 0, maximum = 30000)]
    pub duration_ms: u64,
}

/// One step of a batch: its type, and the one field of that name.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputerAction {
    /// What it does.
    pub r#type: ActionType,
    /// For `click_mouse`.
    pub click_mouse: Option<ClickMouseRequest>,
    /// For `move_mouse`.
    pub move_mouse: Option<MoveMouseRequest>,
    /// For `type_text`.
    pub type_text: Option<TypeTextRequest>,
    /// For `press_key`.
    pub press_key: Option<PressKeyRequest>,
    /// For `scroll`.
    pub scroll: Option<ScrollRequest>,
    /// For `drag_mouse`.
    pub drag_mouse: Option<DragMouseRequest>,
    /// For `set_cursor`.
    pub set_cursor: Option<SetCursorRequest>,
    /// For `sleep`.
    pub sleep: Option<SleepAction>,
}

/// Steps that are done one after the other, with nothing in between.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// The steps.
    #[schema(min_items = 1, max_items = 100)]
    pub actions: Vec<ComputerAction>,
}

fn yes() -> bool {
    true
}

fn one() -> u64 {
    1
}

fn ten() -> u64 {
    10
}

fn fifty() -> u64 {
    50
}

fn eighty() -> u16 {
    80
}

fn whole() -> f64 {
    1.0
}
