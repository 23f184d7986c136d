//! The images, run by a container engine as docs/images.md says. `make e2e-image` builds them and
//! runs this; `cargo test` alone does not.

mod bad_input;
mod life;
mod machine;
mod microvm;
mod user_data;

use std::{process::ExitCode, sync::Arc};

use browserd_e2e::{
    case::{self, Verdict},
    container, settings,
};
use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::{Handle, Runtime};

/// The images that every test runs with.
const IMAGES: [&str; 2] = ["browserd-headless", "browserd-headful"];

/// An image's name.
type Image = Arc<str>;

/// Lists tests by their path; each is an `async fn(Image) -> anyhow::Result<()>`.
macro_rules! tests {
    ($handle:ident, $image:ident: $($module:ident { $($name:ident)* })*) => {
        vec![$($(trial(
            concat!(stringify!($module), "::", stringify!($name)),
            $handle,
            $image,
            $module::$name,
        )),*),*]
    };
}

fn trial<F>(name: &str, handle: &Handle, image: &str, test: fn(Image) -> F) -> Trial
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    let trial = format!("{image}::{name}");
    let image = Image::from(format!("{image}:{}", settings::tag()));
    let handle = handle.clone();
    Trial::ignorable_test(trial, move || {
        match handle.block_on(case::run(Box::pin(test(image)))) {
            Verdict::Passed => Ok(Completion::Completed),
            Verdict::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            Verdict::Failed(report) => Err(report.into()),
        }
    })
}

fn trials(handle: &Handle, image: &str) -> Vec<Trial> {
    tests![handle, image:
        life {
            is_ready_and_healthy_without_privileges
            renderers_are_sandboxed
            stops_in_time_and_starts_again
            services_that_die_come_again
            ten_run_at_once
            runs_with_the_options_of_the_compose_file
        }
        machine {
            has_one_time_zone
            is_quiet_when_idle
            has_sound
            pages_play_to_the_sink
        }
        user_data {
            survives_a_restart_a_stop_and_a_new_container
            survives_a_kill
            what_extensions_keep_survives
        }
        bad_input {
            a_wrong_setting_is_told
            little_shared_memory_will_do
            a_window_manager_that_is_not_there_is_told
            a_full_volume_is_told
            a_volume_without_room_is_told
            a_volume_of_root_with_a_dead_lock_is_taken
            a_port_in_use_is_told_and_waited_for
            a_port_of_the_daemon_in_use_is_told
            an_unknown_flag_is_told
            what_it_needs_is_told
            a_display_of_another_machine_is_told
            a_sandbox_that_cannot_be_is_told
            a_missing_library_is_told
        }
    ]
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each container takes about a processor while it starts.
    arguments.test_threads.get_or_insert(2);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = runtime.block_on(container::docker(&["version"])) {
        eprintln!("no container engine answers: {error:#}");
        return ExitCode::FAILURE;
    }
    let trials = IMAGES
        .iter()
        .flat_map(|image| trials(runtime.handle(), image))
        .chain([trial(
            "microvm::boots_and_is_driven",
            runtime.handle(),
            IMAGES[0],
            microvm::boots_and_is_driven,
        )])
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
