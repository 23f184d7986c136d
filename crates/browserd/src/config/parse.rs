//! The parsers of single values. Each error says what is allowed, and nothing else: the
//! report puts the variable and the value in front of it.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf, str::FromStr};

use browserd_devtools::upstream::Fixed;
use browserd_display::input::Backend;
use browserd_server::{HostPattern, OpenWhen, Origin};
use tracing_subscriber::EnvFilter;

use super::LogFormat;

type Parsed<T> = Result<T, String>;

fn within<T: FromStr + PartialOrd>(
    text: &str,
    range: &RangeInclusive<T>,
    allowed: &str,
) -> Parsed<T> {
    let value = text
        .trim()
        .parse()
        .ok()
        .filter(|value| range.contains(value));
    value.ok_or_else(|| allowed.to_owned())
}

pub(super) fn port(text: &str) -> Parsed<u16> {
    within(text, &(1..=u16::MAX), "a port from 1 to 65535")
}

pub(super) fn display(text: &str) -> Parsed<u16> {
    within(text, &(0..=u16::MAX), "a display number from 0 to 65535")
}

pub(super) fn count(text: &str) -> Parsed<usize> {
    within(text, &(1..=1_000_000), "a number from 1 to 1000000")
}

pub(super) fn size(text: &str) -> Parsed<u64> {
    within(text, &(1..=1 << 40), "a number from 1 to 1099511627776")
}

pub(super) fn bytes(text: &str) -> Parsed<usize> {
    let most = usize::try_from(1_u64 << 40).unwrap_or(usize::MAX);
    within(
        text,
        &(1..=most),
        "a number of bytes from 1 to 1099511627776",
    )
}

pub(super) fn seconds(text: &str) -> Parsed<u64> {
    within(text, &(1..=86_400), "a number of seconds from 1 to 86400")
}

pub(super) fn seconds_or_zero(text: &str) -> Parsed<u64> {
    within(text, &(0..=86_400), "a number of seconds from 0 to 86400")
}

pub(super) fn width(text: &str) -> Parsed<u16> {
    within(text, &(320..=3840), "a number of pixels from 320 to 3840")
}

pub(super) fn height(text: &str) -> Parsed<u16> {
    within(text, &(240..=2160), "a number of pixels from 240 to 2160")
}

pub(super) fn backend(text: &str) -> Parsed<Backend> {
    match text.trim().to_ascii_lowercase().as_str() {
        "auto" => Ok(Backend::Auto),
        "x11" => Ok(Backend::X11),
        "xdotool" => Ok(Backend::Xdotool),
        _ => Err("auto, x11 or xdotool".to_owned()),
    }
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

pub(super) fn ip(text: &str) -> Parsed<IpAddr> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .map_err(|_| "an IP address such as 0.0.0.0, 127.0.0.1 or ::".to_owned())
}

pub(super) fn upstream(text: &str) -> Parsed<Fixed> {
    text.trim()
        .parse::<Fixed>()
        .map_err(|error| error.to_string())
}

pub(super) fn origin(text: &str) -> Parsed<Origin> {
    text.trim().parse::<Origin>().map_err(str::to_owned)
}

pub(super) fn host_pattern(text: &str) -> Parsed<HostPattern> {
    text.trim().parse::<HostPattern>().map_err(str::to_owned)
}

pub(super) fn open_when(text: &str) -> Parsed<OpenWhen> {
    match text.trim().to_ascii_lowercase().as_str() {
        "start" => Ok(OpenWhen::Start),
        "ready" => Ok(OpenWhen::Ready),
        _ => Err("start or ready".to_owned()),
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text.trim() {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("auto, text or json".to_owned()),
    }
}

pub(super) fn log_level(text: &str) -> Parsed<String> {
    let allowed = "error, warn, info, debug, trace, or a filter such as info,browserd_server=debug";
    // A lone word that is no level would be taken for the name of a target.
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_word && tracing::level_filters::LevelFilter::from_str(text).is_err() {
        return Err(allowed.to_owned());
    }
    EnvFilter::try_new(text).map_err(|_| allowed.to_owned())?;
    Ok(text.to_owned())
}

pub(super) fn zone(text: &str) -> Parsed<String> {
    // As the C library takes it.
    let name = text.trim().trim_start_matches(':');
    if browserd_init::is_zone(name) {
        return Ok(name.to_owned());
    }
    Err("the name of a time zone, such as Europe/Berlin".to_owned())
}

pub(super) fn absolute(text: &str) -> Parsed<PathBuf> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err("a path that begins with /".to_owned())
}

pub(super) fn words(text: &str) -> Parsed<Vec<String>> {
    browserd_chromium::flags::words(text)
        .map_err(|_| "words as in a shell, with every quote closed".to_owned())
}
