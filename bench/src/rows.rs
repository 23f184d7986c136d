//! All rows. A new one is a file in `rows/` and a line in the table.

mod binary_size;
mod cdp_cpu;
mod cdp_echo_8m;
mod cdp_rtt;
mod cdp_rtt_1k;
mod computer;
mod container;
mod exec_rate;
mod exec_rtt;
mod files;
mod idle_rss;
mod process_readers;
mod process_stream;
mod pty_echo;
mod rediscovery;
mod rss_per_cdp_session;
mod sides;
mod start;

use crate::{Bench, row::Row};

/// Measures one row.
pub(crate) type Measure = fn(&Bench) -> anyhow::Result<Row>;

/// Every row by its name, in the order of the output.
pub(crate) const ROWS: &[(&str, Measure)] = &[
    ("cdp_rtt_1k", cdp_rtt_1k::measure),
    ("cdp_echo_8m", cdp_echo_8m::measure),
    ("cdp_rtt", cdp_rtt::measure),
    ("cdp_cpu_100k", cdp_cpu::measure),
    ("rss_per_cdp_session", rss_per_cdp_session::measure),
    ("exec_rtt", exec_rtt::measure),
    ("exec_rate_8", exec_rate::measure),
    ("process_stream_1g", process_stream::measure),
    ("pty_echo", pty_echo::measure),
    ("process_readers_500", process_readers::measure),
    ("rediscovery", rediscovery::measure),
    ("read_file_1g", files::read_file_1g),
    ("write_file_1g", files::write_file_1g),
    ("file_rss", files::file_rss),
    ("down_1m", files::down_1m),
    ("up_1m", files::up_1m),
    ("write_1m", files::write_1m),
    ("list_1000", files::list_1000),
    ("download_dir_zstd", files::download_dir_zstd),
    ("download_dir_zip", files::download_dir_zip),
    ("upload_zip", files::upload_zip),
    ("upload_580", files::upload_580),
    ("log_line", files::log_line),
    ("move_mouse", computer::move_mouse),
    ("move_mouse_alone", computer::move_mouse_alone),
    ("click_mouse", computer::click_mouse),
    ("screenshot_png", computer::screenshot_png),
    ("screenshot_jpeg", computer::screenshot_jpeg),
    ("screenshot_after_rest", computer::screenshot_after_rest),
    ("screenshot_cdp", computer::screenshot_cdp),
    ("type_1000", computer::type_1000),
    ("resize", computer::resize),
    ("start", start::measure),
    ("idle_rss", idle_rss::measure),
    ("binary_size", binary_size::measure),
    ("container_healthz", container::start_to_healthz),
    ("container_page", container::start_to_page),
    ("container_idle_pss", container::idle_memory),
    ("container_size_headless", container::size_headless),
    ("container_size_headful", container::size_headful),
];
