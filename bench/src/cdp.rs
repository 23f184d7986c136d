//! Single DevTools commands over a raw client.

use anyhow::ensure;

use crate::client::{Client, text_frame};

/// Sends a command without parameters and waits for its answer.
pub(crate) fn call(client: &mut Client, method: &str) -> anyhow::Result<()> {
    const ANSWER: &[u8] = br#"{"id":1,"#;
    client.send(&text_frame(
        format!(r#"{{"id":1,"method":"{method}"}}"#).as_bytes(),
    ))?;
    loop {
        let message = client.receive()?;
        if message.starts_with(ANSWER) {
            let is_error = message[ANSWER.len()..].starts_with(b"\"error\"");
            ensure!(!is_error, "{method}: {}", String::from_utf8_lossy(&message));
            return Ok(());
        }
    }
}
