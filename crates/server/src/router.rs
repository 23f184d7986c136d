//! All routes, in flat tables: one for each port.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, MatchedPath},
    middleware::{from_fn, from_fn_with_state},
    routing::{any, get},
};
use http::{Method, Uri};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    cors,
    error::{self, ApiError},
    middleware::{access_log, caller, caller::Surface, once, request_id},
    openapi::{self, Document, Rendered},
    routes::{
        computer, devtools, display, docs, files, logs, metrics as metrics_route, operations,
        process,
    },
    table::{self, Port},
};

/// The API port's routes with their documentation.
pub(crate) fn documented() -> OpenApiRouter<App> {
    let mut routes = routes();
    openapi::add_scopes(routes.get_openapi_mut());
    routes
}

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        // Processes
        .routes(routes!(process::exec_process))
        .routes(routes!(process::spawn_process))
        .routes(routes!(process::list_processes))
        .routes(routes!(process::get_process_status))
        .routes(routes!(process::stream_process_output))
        .routes(routes!(process::write_process_stdin))
        .routes(routes!(process::kill_process))
        .routes(routes!(process::resize_process))
        .routes(routes!(process::attach::attach_process))
        // Files
        .routes(routes!(files::content::read_file))
        .routes(routes!(files::content::write_file))
        .routes(routes!(files::upload::upload_files))
        .routes(routes!(files::unpack::upload_zip))
        .routes(routes!(files::unpack::upload_zstd))
        .routes(routes!(files::download::download_dir_zip))
        .routes(routes!(files::download::download_dir_zstd))
        .routes(routes!(files::directories::list_files))
        .routes(routes!(files::directories::get_file_info))
        .routes(routes!(files::directories::create_directory))
        .routes(routes!(files::directories::delete_file))
        .routes(routes!(files::directories::delete_directory))
        .routes(routes!(files::directories::set_file_permissions))
        .routes(routes!(files::directories::move_path))
        .routes(routes!(files::directories::copy_path))
        .routes(routes!(files::watch::start_watch))
        .routes(routes!(files::watch::stream_watch_events))
        .routes(routes!(files::watch::stop_watch))
        // Logs
        .routes(routes!(logs::stream_logs))
        // Computer
        .routes(routes!(computer::click_mouse))
        .routes(routes!(computer::move_mouse))
        .routes(routes!(computer::drag_mouse))
        .routes(routes!(computer::scroll))
        .routes(routes!(computer::type_text))
        .routes(routes!(computer::press_key))
        .routes(routes!(computer::take_screenshot))
        .routes(routes!(computer::set_cursor))
        .routes(routes!(computer::get_mouse_position))
        .routes(routes!(computer::clipboard::read_clipboard))
        .routes(routes!(computer::clipboard::write_clipboard))
        .routes(routes!(computer::batch::batch_computer_actions))
        // Display
        .routes(routes!(display::get_display))
        .routes(routes!(display::patch_display))
        // Operations
        .routes(routes!(operations::get_healthz))
        .routes(routes!(operations::get_readyz))
        .routes(routes!(docs::get_openapi_yaml))
        .routes(routes!(docs::get_openapi_json))
}

/// The API port.
pub(crate) fn api(app: &App) -> Router {
    let (router, document) = documented().split_for_parts();
    let router = router
        .with_state(app.clone())
        .merge(docs::router())
        .layer(DefaultBodyLimit::max(app.config.limits.json_body_bytes))
        .layer(Extension(Rendered::new(&document)))
        .layer(from_fn(once::layer))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method);
    dress(router, app, Surface::Api)
}

/// The DevTools port. Any path may be a WebSocket; the routes are there to be counted by name.
pub(crate) fn devtools(app: &App) -> Router {
    let router = table::of(Port::DevTools)
        .fold(Router::new(), |router, row| {
            router.route(row.path, any(devtools::serve))
        })
        .fallback(devtools::serve)
        .with_state(app.clone());
    dress(router, app, Surface::DevTools)
}

/// The metrics port.
pub(crate) fn metrics(app: &App) -> Router {
    let router = Router::new()
        .route("/metrics", get(metrics_route::get_metrics))
        .with_state(app.clone())
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method);
    dress(router, app, Surface::Api)
}

/// Puts the middleware around a port's routes. The layer added last is the outermost.
fn dress(router: Router, app: &App, surface: Surface) -> Router {
    let rules = Arc::new(app.config.rules.clone());
    let router = match cors::layer(&rules) {
        Some(layer) => router.layer(layer),
        None => router,
    };
    router
        .layer(from_fn_with_state((surface, rules), caller::layer))
        .layer(from_fn(error::render))
        .layer(from_fn_with_state(app.metrics.clone(), access_log::layer))
        .layer(from_fn(request_id::layer))
}

async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::no_such_route(uri.path())
}

async fn wrong_method(method: Method, uri: Uri, route: Option<MatchedPath>) -> ApiError {
    let taken = route.map(|route| table::methods(route.as_str()));
    ApiError::wrong_method(uri.path(), &method, &taken.unwrap_or_default())
}

#[cfg(test)]
mod tests;
