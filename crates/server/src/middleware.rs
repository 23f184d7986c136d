//! What every request passes on its way in and out, outermost first:
//! request id, access log, error bodies, who may call, CORS. Routes that act once have a layer
//! of their own inside.

pub(crate) mod access_log;
pub(crate) mod caller;
pub(crate) mod once;
pub(crate) mod request_id;
