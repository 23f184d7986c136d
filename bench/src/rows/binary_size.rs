//! The size of the stripped release binary.

use anyhow::Context as _;

use super::rss_per_cdp_session::to_f64;
use crate::{Bench, row::Row};

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Row> {
    let file = std::fs::metadata(&bench.browserd).context("cannot look at the binary")?;
    Ok(Row::absolute(
        "MiB",
        to_f64(file.len()) / 1024.0 / 1024.0,
        20.0,
    ))
}
