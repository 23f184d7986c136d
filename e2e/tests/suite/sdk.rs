//! The official SDKs, with every method of the resources that the API serves.

use std::path::Path;

use browserd_e2e::{Daemon, Echo, Endpoints, Stack, clients::run};

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

const PYTHON: &str = "kernel_sdk.py";
const TYPESCRIPT: &str = "kernel_sdk.mjs";

/// Runs a scenario against a daemon of its own.
async fn scenario(program: &str, name: &str, methods: usize) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .start()
        .await?;
    let folder = daemon.folder().join("sdk");
    std::fs::create_dir(&folder)?;
    at(&daemon.at, &folder, program, name, methods).await
}

/// Runs a scenario; the program checks what each method answers, and that none is left out.
async fn at(
    endpoints: &Endpoints,
    folder: &Path,
    program: &str,
    name: &str,
    methods: usize,
) -> Outcome {
    let folder = folder.to_str().expect("temporary folders have plain names");
    let seen = run(program, &[name, &endpoints.api_url(), folder]).await?;
    let called = seen["methods"].as_array().map(Vec::len);
    assert_eq!(called, Some(methods), "{seen}");
    Ok(())
}

pub(crate) async fn process_for_python(_: Suite) -> Outcome {
    scenario(PYTHON, "process", 7).await
}

pub(crate) async fn process_for_typescript(_: Suite) -> Outcome {
    scenario(TYPESCRIPT, "process", 7).await
}

pub(crate) async fn files_for_python(_: Suite) -> Outcome {
    scenario(PYTHON, "fs", 15).await
}

pub(crate) async fn files_for_typescript(_: Suite) -> Outcome {
    scenario(TYPESCRIPT, "fs", 15).await
}

pub(crate) async fn logs_for_python(_: Suite) -> Outcome {
    scenario(PYTHON, "logs", 1).await
}

pub(crate) async fn logs_for_typescript(_: Suite) -> Outcome {
    scenario(TYPESCRIPT, "logs", 1).await
}

/// On a screen of its own: it moves the one pointer and types.
async fn computer(program: &str) -> Outcome {
    let stack = Stack::builder().start().await?;
    at(&stack.at, &stack.scratch(), program, "computer", 12).await
}

pub(crate) async fn computer_for_python(_: Suite) -> Outcome {
    computer(PYTHON).await
}

pub(crate) async fn computer_for_typescript(_: Suite) -> Outcome {
    computer(TYPESCRIPT).await
}
