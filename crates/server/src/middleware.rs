//! What every request passes on its way in and out, outermost first:
//! request id, access log, error bodies, who may call, CORS.

pub(crate) mod access_log;
pub(crate) mod caller;
pub(crate) mod request_id;
