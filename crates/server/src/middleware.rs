//! What every request passes on its way in and out, outermost first:
//! request id, access log, error bodies, who may call, CORS, and for routes that act once the mark
//! that says so.

pub(crate) mod access_log;
pub(crate) mod caller;
pub(crate) mod once;
pub(crate) mod request_id;
