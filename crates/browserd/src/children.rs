//! What the commands that this daemon runs may learn from it: its environment without the
//! secrets, and nothing else.

use browserd_process::{Environment, forbid_inspection};

use crate::config;

/// What children inherit. Afterwards the secrets can be read nowhere else either, so settings
/// must have been read before, and there must be no threads yet.
pub(crate) fn environment() -> Environment {
    let secrets = config::secrets();
    let environment = Environment::without(&secrets, config::environment());
    let protected = secrets.hide().and_then(|()| forbid_inspection());
    if let Err(error) = protected {
        tracing::warn!(%error, "commands may be able to read the daemon's secrets");
    }
    environment
}
