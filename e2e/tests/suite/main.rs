//! The whole suite. Every test is named `<file>::<function>` and is run by
//! `cargo test -p browserd-e2e --test suite -- <part of the name>`. With `E2E_IMAGE=<image>`
//! daemons and stacks are containers of that image.

mod basics;
mod callers;
mod clients;
mod computer;
mod connections;
mod desk;
mod discovery;
mod display;
mod errors;
mod files;
mod heavy;
mod hung;
mod limits;
mod logs;
mod process;
mod raw;
mod restart;
mod sdk;
mod shared;
mod shutdown;
mod starting;
mod streams;
mod targets;
mod terminals;

use std::{process::ExitCode, sync::Arc};

use browserd_e2e::{
    case::{self, Verdict},
    settings,
};
use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::{Handle, Runtime};

use self::shared::{Shared, Suite};

const OWN_MOUNT: &str = "what the test mounts is not there in a container";

/// Why tests that start a part beside the daemon are not for containers.
const PARTS: &str = "the parts that the test starts are not in the container";
/// Why tests with a window manager are not for the headless image.
const NO_MANAGER: &str = "the image has no window manager, and refuses to wait for one";
/// What cannot be tried in a container, and why.
const HOST_ONLY: [(&str, &str); 12] = [
    (
        "callers::a_configured_name_gets_in_from_another_machine",
        "no engine starts a container in a network that a test has made",
    ),
    (
        "limits::a_command_at_the_limit_of_open_files",
        "the limit of a container's process is not the test's to set",
    ),
    ("hung::nothing_else_waits_for_it", OWN_MOUNT),
    ("hung::its_callers_are_told", OWN_MOUNT),
    ("hung::a_profile_on_it_is_not_ready", OWN_MOUNT),
    (
        "connections::count_behind_their_upgrade_too",
        "the health check of the container takes a place",
    ),
    (
        "display::a_window_manager_makes_the_window_follow",
        NO_MANAGER,
    ),
    ("display::f11_fills_the_screen_and_leaves_it", NO_MANAGER),
    ("terminals::vi_runs", "the image has no editor"),
    ("starting::first_calls_wait_for_the_display", PARTS),
    ("starting::first_calls_wait_for_supervisord", PARTS),
    (
        "starting::the_port_opens_when_browser_and_display_answer",
        PARTS,
    ),
];

/// Lists tests by their path; each is an `async fn(Suite) -> anyhow::Result<()>`.
macro_rules! tests {
    ($handle:ident, $suite:ident: $($module:ident { $($name:ident)* })*) => {
        vec![$($(trial(
            concat!(stringify!($module), "::", stringify!($name)),
            $handle,
            $suite,
            $module::$name,
        )),*),*]
    };
}

fn trial<F>(name: &str, handle: &Handle, suite: &Suite, test: fn(Suite) -> F) -> Trial
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    let (handle, suite) = (handle.clone(), Arc::clone(suite));
    let lacking = HOST_ONLY
        .iter()
        .find(|(host_only, _)| *host_only == name && settings::image().is_some());
    Trial::ignorable_test(name, move || {
        if let Some((_, reason)) = lacking {
            return Ok(Completion::ignored_with(*reason));
        }
        match handle.block_on(case::run(Box::pin(test(suite)))) {
            Verdict::Passed => Ok(Completion::Completed),
            Verdict::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            Verdict::Failed(report) => Err(report.into()),
        }
    })
}

/// All tests. The long ones come first, so that the others run beside them.
#[expect(clippy::too_many_lines, reason = "a table")]
fn trials(handle: &Handle, suite: &Suite) -> Vec<Trial> {
    tests![handle, suite:
        restart {
            fifty_kills_leave_nothing_behind
        }
        sdk {
            process_for_python
            process_for_typescript
            files_for_python
            files_for_typescript
            logs_for_python
            logs_for_typescript
            computer_for_python
            computer_for_typescript
        }
        computer {
            typed_text_is_what_arrives
            every_button_and_turn_reaches_the_page
            clicks_select_words_and_lines_and_drags_move_things
            nothing_stays_down_when_a_client_goes_away
            screenshots_show_the_page_at_any_size
            the_clipboard_is_shared_with_the_page
            names_of_keys_mean_what_the_page_sees
            combinations_reach_the_browser_itself
            a_screenshot_waits_for_no_batch
            what_lies_outside_is_refused_and_nothing_pressed
        }
        display {
            usual_sizes_have_their_refresh_rates
            a_window_manager_makes_the_window_follow
            f11_fills_the_screen_and_leaves_it
            pages_have_the_whole_screen
            the_browser_shows_its_ui_on_request
            a_killed_x_server_is_503_and_then_works_again
            a_restart_on_request_loses_nothing
            a_browser_that_hangs_is_restarted_all_the_same
        }
        callers {
            no_page_gets_in_and_real_clients_do
            a_configured_origin_gets_in
            an_origin_that_is_not_configured_does_not
            callers_on_this_machine_name_it_as_such
            a_configured_name_gets_in_from_another_machine
            an_origin_like_the_host_gets_into_devtools_alone
            fetch_metadata_of_another_site_is_refused
        }
        connections { count_behind_their_upgrade_too }
        heavy {
            ninety_mebibytes_in_and_two_hundred_out
            a_stalled_client_costs_nothing_and_disturbs_nobody
        }
        hung {
            nothing_else_waits_for_it
            its_callers_are_told
            a_profile_on_it_is_not_ready
        }
        streams {
            output_that_nobody_reads_costs_nothing
            behind_the_exit_there_is_nothing
            one_reader_gets_every_byte
            two_readers_get_every_byte
            a_reader_that_is_cut_off_goes_on_where_it_was
            status_tells_what_the_tree_uses
        }
        limits {
            a_command_at_the_limit_of_open_files
            output_beyond_the_memory_of_requests_is_cut
        }
        process {
            a_thousand_last_lines_come_before_their_exits
            a_shutdown_ends_all_of_it_in_order
            orphans_are_reaped_and_no_exit_code_is_lost
            a_timeout_leaves_no_process
            a_client_that_goes_away_cancels_its_command
            a_server_left_behind_is_not_waited_for
            no_secret_reaches_a_child
            limits_are_told
            users_are_switched_to
            a_daemon_without_privilege_says_so
            a_body_is_json_alone
        }
        terminals {
            bash_is_typed_into_and_resized
            control_frames_that_cannot_be_are_answered
            ctrl_c_ends_a_sleep
            vi_runs
            top_runs
            a_long_paste_arrives_whole
            one_client_is_attached_and_can_be_taken_over
            a_client_that_vanishes_ends_nothing
            the_last_64_kib_come_first
        }
        clients {
            playwright_by_http
            playwright_by_http_with_a_slash
            playwright_by_ws
            playwright_by_ws_with_a_slash
            playwright_behind_a_prefix
            playwright_by_ws_behind_a_prefix
            playwright_for_python
            puppeteer_by_url
            puppeteer_by_ws
            puppeteer_behind_a_prefix
            python_websocket_client_with_its_origin
            chromiumoxide_opens_a_page
            two_clients_at_once
            cookies
            download
            upload
            service_worker
            popup
            frames
        }
        targets {
            every_document_is_served_with_and_without_a_slash
            addresses_are_those_that_the_client_used
            addresses_follow_the_proxy_in_front
            credentials_stay_in_the_addresses
            a_target_is_opened_activated_and_closed
            a_url_of_any_bytes_is_opened
            targets_are_not_opened_by_get
        }
        raw {
            a_page_socket_ends_with_1000_when_its_target_closes
            a_target_is_found_behind_any_prefix
            an_unknown_target_gets_chromiums_own_answer
            any_other_path_is_the_current_browser
            compression_is_not_negotiated
            the_upstream_sees_neither_origin_nor_credentials
        }
        restart {
            connections_wait_while_chromium_restarts
            a_restart_loses_no_cookie
            nothing_to_wait_for_is_said_with_503
            the_stack_stops_by_term_alone
        }
        discovery {
            a_log_that_is_absent_at_first
            a_log_rotated_by_rename
            a_log_rotated_by_copytruncate
            a_line_of_100_kib_before_the_url
            a_url_written_in_two_halves
            two_urls_within_a_second
            a_stale_url_at_the_start
            a_stale_url_behind_a_live_one
            a_death_without_a_new_line
        }
        errors {
            settings_that_cannot_be
            a_port_in_use
            a_log_that_cannot_be_read
            handshakes_that_are_malformed
            a_header_of_a_mebibyte
            an_answer_reaches_one_who_is_still_sending
            a_request_that_never_comes
            a_client_that_answers_no_ping
            a_client_that_closes_only_its_side
            bytes_after_the_close
            a_frame_that_cannot_be
            a_frame_that_chromium_refuses
            a_client_that_never_reads
        }
        starting {
            first_calls_wait_for_the_display
            first_calls_wait_for_supervisord
            waiting_calls_are_let_go_at_a_shutdown
            what_is_absent_is_said_at_once
            the_port_opens_when_browser_and_display_answer
        }
        shutdown {
            every_session_ends_with_1001
            a_stalled_session_does_not_hold_it_up
            connections_that_wait_are_let_go
        }
        files {
            memory_stays_flat
            writes_that_break_off_leave_the_old_file
            a_burst_is_told_whole
            a_full_disk_is_told_and_harms_nothing
            ranges_and_conditions
            files_follow_each_other_on_one_connection
            a_file_cut_while_it_is_sent_ends_the_connection
            writes_in_place
            every_spelling_of_an_upload
            contents_may_come_before_their_paths
            a_tree_survives_both_archives
            hostile_archives_change_nothing
            a_watch_is_resumed_and_ended
            bad_paths_and_modes_are_named
            bad_requests_are_named
        }
        logs {
            no_line_is_lost_or_told_twice
            history_and_resuming
            a_log_that_comes_late_is_waited_for
            logs_that_cannot_be_are_named
            programs_are_found_by_supervisord
        }
        basics {
            health_and_readiness
            readiness_names_what_is_missing
            the_document_and_its_aliases
            the_page_of_the_api_needs_no_network
            errors_have_the_one_shape
            request_ids_are_taken_or_made
            each_request_is_logged_once
            metrics_tell_of_sessions
            frames_are_logged_when_asked_for_and_without_what_is_in_them
        }
    ]
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Runtime::new().expect("a runtime");
    let suite = Arc::new(Shared::default());
    let conclusion = libtest_mimic::run(&arguments, trials(runtime.handle(), &suite));
    // The stacks that tests shared go down here.
    drop(suite);
    conclusion.exit_code()
}
