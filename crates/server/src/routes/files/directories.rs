//! What is there, and changing it: listings, directories, deleting, permissions, moving.

use axum::{
    Json as JsonBody,
    extract::State,
    response::{IntoResponse as _, Response},
};
use browserd_api::{
    Error,
    files::{
        CreateDirectoryRequest, DeleteRequest, FileInfo, ListParameters, PathParameters,
        SetFilePermissionsRequest, TransferRequest,
    },
};
use browserd_files::{ListOptions, Mode};
use http::{HeaderName, HeaderValue, StatusCode};

use super::{mode_in, path_in, shown};
use crate::{
    app::App,
    error::{ApiError, Result},
    extract::{Json, Query},
    time::rfc3339,
};

/// Where the next page of a listing begins.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// List a directory
///
/// Entries come in the order of their names, a directory right before what is in it. One that
/// cannot be looked at is listed with what is known of it. Where there is more than fits,
/// `X-Next-Cursor` is the `cursor` of the next page.
#[utoipa::path(
    get,
    path = "/fs/list_files",
    tag = "files",
    params(ListParameters),
    responses(
        (status = 200, description = "The entries", body = [FileInfo], headers(
            ("X-Next-Cursor", description = "The cursor of the next page, if there is one"))),
        (status = "default", description = "No such directory, or it cannot be read",
            body = Error)
    )
)]
pub(crate) async fn list_files(
    State(app): State<App>,
    Query(parameters): Query<ListParameters>,
) -> Result<Response> {
    let path = path_in("path", &parameters.path)?;
    if parameters.limit == Some(0) {
        return Err(ApiError::bad_request("limit: a number from 1 on is wanted"));
    }
    let options = ListOptions {
        recursive: parameters.recursive,
        limit: parameters.limit,
        cursor: parameters.cursor.filter(|cursor| !cursor.is_empty()),
    };
    let listing = app.domains.files.list(&path, options).await?;
    let entries: Vec<FileInfo> = listing.entries.into_iter().map(info).collect();
    let mut response = JsonBody(entries).into_response();
    if let Some(cursor) = listing.next_cursor {
        let cursor = HeaderValue::from_str(&cursor).expect("digits are visible characters");
        response.headers_mut().insert(NEXT_CURSOR, cursor);
    }
    Ok(response)
}

/// Tell what is known of a file or directory
///
/// A symbolic link is followed, and told of.
#[utoipa::path(
    get,
    path = "/fs/file_info",
    tag = "files",
    params(PathParameters),
    responses(
        (status = 200, description = "What is known", body = FileInfo),
        (status = "default", description = "Nothing is there, or it cannot be looked at",
            body = Error)
    )
)]
pub(crate) async fn get_file_info(
    State(app): State<App>,
    Query(parameters): Query<PathParameters>,
) -> Result<JsonBody<FileInfo>> {
    let path = path_in("path", &parameters.path)?;
    Ok(JsonBody(info(app.domains.files.info(&path).await?)))
}

/// Make a directory
///
/// Parents that are missing are made. A directory that exists is left as it is.
#[utoipa::path(
    put,
    path = "/fs/create_directory",
    tag = "files",
    request_body = CreateDirectoryRequest,
    responses(
        (status = 201, description = "It is there"),
        (status = "default", description = "It cannot be made", body = Error)
    )
)]
pub(crate) async fn create_directory(
    State(app): State<App>,
    Json(request): Json<CreateDirectoryRequest>,
) -> Result<StatusCode> {
    let path = path_in("path", &request.path)?;
    let mode = request.mode.as_deref().map(mode_in).transpose()?;
    let mode = mode.unwrap_or(Mode::DIRECTORY);
    app.domains.files.create_directory(&path, mode).await?;
    Ok(StatusCode::CREATED)
}

/// Delete a file
///
/// A symbolic link is deleted itself. A directory is refused.
#[utoipa::path(
    put,
    path = "/fs/delete_file",
    tag = "files",
    request_body = DeleteRequest,
    responses(
        (status = 200, description = "It is gone"),
        (status = "default", description = "No such file, or it cannot be deleted", body = Error)
    )
)]
pub(crate) async fn delete_file(
    State(app): State<App>,
    Json(request): Json<DeleteRequest>,
) -> Result<StatusCode> {
    let path = path_in("path", &request.path)?;
    app.domains.files.delete_file(&path).await?;
    Ok(StatusCode::OK)
}

/// Delete a directory with all that is in it
///
/// A file, and a symbolic link to a directory, is refused.
#[utoipa::path(
    put,
    path = "/fs/delete_directory",
    tag = "files",
    request_body = DeleteRequest,
    responses(
        (status = 200, description = "It is gone"),
        (status = "default", description = "No such directory, or it cannot be deleted",
            body = Error)
    )
)]
pub(crate) async fn delete_directory(
    State(app): State<App>,
    Json(request): Json<DeleteRequest>,
) -> Result<StatusCode> {
    let path = path_in("path", &request.path)?;
    app.domains.files.delete_directory(&path).await?;
    Ok(StatusCode::OK)
}

/// Set permissions, owner and group
#[utoipa::path(
    put,
    path = "/fs/set_file_permissions",
    tag = "files",
    request_body = SetFilePermissionsRequest,
    responses(
        (status = 200, description = "They are set"),
        (status = "default", description = "No such file, owner or group, or it is not allowed",
            body = Error)
    )
)]
pub(crate) async fn set_file_permissions(
    State(app): State<App>,
    Json(request): Json<SetFilePermissionsRequest>,
) -> Result<StatusCode> {
    let path = path_in("path", &request.path)?;
    let mode = mode_in(&request.mode)?;
    let (owner, group) = (request.owner.as_deref(), request.group.as_deref());
    let files = &app.domains.files;
    files.set_permissions(&path, mode, owner, group).await?;
    Ok(StatusCode::OK)
}

/// Move a file or directory
///
/// An existing destination file is replaced. It works across file systems too: the destination
/// appears at once, and the source is deleted after.
#[utoipa::path(
    put,
    path = "/fs/move",
    tag = "files",
    request_body = TransferRequest,
    responses(
        (status = 200, description = "It is moved"),
        (status = "default", description = "No such file, or it cannot be moved", body = Error)
    )
)]
pub(crate) async fn move_path(
    State(app): State<App>,
    Json(request): Json<TransferRequest>,
) -> Result<StatusCode> {
    let src = path_in("src_path", &request.src_path)?;
    let dest = path_in("dest_path", &request.dest_path)?;
    app.domains.files.move_to(&src, &dest).await?;
    Ok(StatusCode::OK)
}

/// Copy a file or directory
///
/// Modes, owners and times come along. An existing destination file is replaced at once; an
/// existing directory is refused.
#[utoipa::path(
    put,
    path = "/fs/copy",
    tag = "files",
    request_body = TransferRequest,
    responses(
        (status = 200, description = "It is copied"),
        (status = "default", description = "No such file, or it cannot be copied", body = Error)
    )
)]
pub(crate) async fn copy_path(
    State(app): State<App>,
    Json(request): Json<TransferRequest>,
) -> Result<StatusCode> {
    let src = path_in("src_path", &request.src_path)?;
    let dest = path_in("dest_path", &request.dest_path)?;
    app.domains.files.copy(&src, &dest).await?;
    Ok(StatusCode::OK)
}

fn info(info: browserd_files::FileInfo) -> FileInfo {
    FileInfo {
        name: shown(info.name),
        path: shown(info.path),
        size_bytes: info.size_bytes,
        is_dir: info.is_dir,
        mod_time: rfc3339(info.mod_time),
        mode: info.mode,
        is_symlink: info.is_symlink,
        symlink_target: info.symlink_target.map(shown),
        uid: info.uid,
        gid: info.gid,
        owner: info.owner,
        group: info.group,
        inode: info.inode,
    }
}
