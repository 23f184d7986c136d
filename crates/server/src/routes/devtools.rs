//! The DevTools port: discovery documents and WebSockets.

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use browserd_devtools::{
    client::Reply,
    discovery::{self, Address, Route},
    reach::Answer,
};
use http::{HeaderValue, header, request::Parts};
use hyper::upgrade::OnUpgrade;

use crate::{
    app::App,
    error::{ApiError, Result},
    handshake,
    session::Accepted,
};

/// A WebSocket on any path, or a discovery document.
pub(crate) async fn serve(State(app): State<App>, request: Request) -> Result<Response> {
    let (mut parts, _) = request.into_parts();
    if handshake::is_asked_for(&parts.headers) {
        let client = parts.extensions.remove::<OnUpgrade>();
        return connect(&app, client, &parts).await;
    }
    let (path, query) = (parts.uri.path(), parts.uri.query());
    match discovery::request(path, query) {
        Some(request) => discover(&app, &request, &parts).await,
        None => Err(ApiError::no_such_route(path)),
    }
}

async fn discover(app: &App, request: &discovery::Request, parts: &Parts) -> Result<Response> {
    if !request.takes(&parts.method) {
        let allowed = HeaderValue::from_str(request.method.as_str());
        let refused =
            ApiError::wrong_method(parts.uri.path(), &parts.method, &[request.method.as_str()]);
        return Err(allowed.into_iter().fold(refused, |refused, allowed| {
            refused.header(header::ALLOW, allowed)
        }));
    }
    let mut reply = app
        .domains
        .upstream
        .fetch(request, app.config.devtools_wait)
        .await?;
    if request.has_addresses {
        // The rules about callers let no request without a `Host` come this far.
        let address = Address::of(&parts.headers, "localhost");
        reply.body = discovery::rewrite(reply.body, &address, request.kept_query.as_deref());
    }
    Ok(passed_on(reply))
}

async fn connect(app: &App, client: Option<OnUpgrade>, parts: &Parts) -> Result<Response> {
    let key = handshake::key(&parts.method, parts.version, &parts.headers)?;
    let client = client.ok_or_else(|| ApiError::bad_request("this connection cannot upgrade"))?;
    let route = Route::of(parts.uri.path());
    let upstream = &app.domains.upstream;
    let (endpoint, answer) = upstream.open(&route, key, app.config.devtools_wait).await?;
    match answer {
        Answer::Rejected(reply) => Ok(passed_on(reply)),
        Answer::Opened(opened) => {
            let accept = opened.accept.clone();
            let target = route.target().map(str::to_owned);
            let upstream = upstream.clone();
            app.sessions.start(Accepted {
                client,
                opened,
                endpoint,
                target,
                upstream,
            });
            Ok(handshake::switching(accept))
        }
    }
}

/// What Chromium answered, made harmless to a page that would embed it.
fn passed_on(
    Reply {
        status,
        content_type,
        body,
    }: Reply,
) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    response
}
