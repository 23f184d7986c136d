//! Directories as archives, packed while they are sent.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use browserd_api::{
    Error,
    files::{CompressionLevel, DownloadZstdParameters, PathParameters},
};
use browserd_files::{Compression, PackFormat};
use futures_util::TryStreamExt as _;
use http::header;

use super::path_in;
use crate::{app::App, error::Result, extract::Query};

const ZIP: &str = "application/zip";
const ZSTD: &str = "application/zstd";

/// Pack a directory as a zip archive
///
/// When packing fails half-way, the connection is aborted, so that no part is taken for the
/// whole.
#[utoipa::path(
    get,
    path = "/fs/download_dir_zip",
    tag = "files",
    params(PathParameters),
    responses(
        (status = 200, description = "The archive", body = Vec<u8>, content_type = ZIP),
        (status = "default", description = "No such directory, or it cannot be read",
            body = Error)
    )
)]
pub(crate) async fn download_dir_zip(
    State(app): State<App>,
    Query(parameters): Query<PathParameters>,
) -> Result<Response> {
    send(&app, &parameters.path, PackFormat::Zip, ZIP).await
}

/// Pack a directory as a tar archive compressed with Zstandard
///
/// When packing fails half-way, the connection is aborted, so that no part is taken for the
/// whole.
#[utoipa::path(
    get,
    path = "/fs/download_dir_zstd",
    tag = "files",
    params(DownloadZstdParameters),
    responses(
        (status = 200, description = "The archive", body = Vec<u8>, content_type = ZSTD),
        (status = "default", description = "No such directory, or it cannot be read",
            body = Error)
    )
)]
pub(crate) async fn download_dir_zstd(
    State(app): State<App>,
    Query(parameters): Query<DownloadZstdParameters>,
) -> Result<Response> {
    let compression = match parameters.compression_level {
        CompressionLevel::Fastest => Compression::Fastest,
        CompressionLevel::Default => Compression::Default,
        CompressionLevel::Better => Compression::Better,
        CompressionLevel::Best => Compression::Best,
    };
    let format = PackFormat::TarZst(compression);
    send(&app, &parameters.path, format, ZSTD).await
}

async fn send(app: &App, path: &str, format: PackFormat, kind: &'static str) -> Result<Response> {
    let path = path_in("path", path)?;
    let packed = app.domains.files.pack(&path, format).await?;
    let packed = packed.inspect_err(|error| {
        tracing::warn!(%error, "an archive broke off while it was sent");
    });
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, Body::from_stream(packed)).into_response())
}
