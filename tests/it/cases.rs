//! Twenty cases in which clouds were seen, or are known, to break their clients; and the tests of each, by name.
//!
//! A test is a function here or beside the code, or an example of a cloud file. `Case 3` in a test means the third of these.

use std::fs;
use std::path::{Path, PathBuf};

const CASES: [(&str, &[&str]); 20] = [
    (
        "a moment in milliseconds where seconds are expected, and the other way round; of two ends the earlier counts",
        &["a_moment_is_read_in_milliseconds_and_in_seconds_and_the_earlier_of_two_counts"],
    ),
    (
        "a documentation that says 90 days of what lives for an hour, and an issuer that is misspelt",
        &[
            "a_token_ends_after_3590_seconds_whatever_the_documentation_says_and_whoever_issued_it",
            "the_earlier_of_the_two_ends_counts",
        ],
    ),
    (
        "a rotated refresh token that is lost between the cloud and the vault",
        &[
            "a_rotated_secret_is_saved_before_anyone_is_answered",
            "what_was_rotated_is_kept_before_the_next_request",
            "a_vault_that_fails_costs_nobody_the_token_and_is_tried_again",
        ],
    ),
    (
        "a rotation whose answer is lost on the way",
        &["a_lost_answer_to_a_refresh_ends_in_one_more_try_and_a_login_by_the_human"],
    ),
    (
        "many callers of one token that has ended, and many logins of one user",
        &[
            "two_hundred_callers_of_an_expired_token_cause_one_refresh",
            "a_hundred_callers_at_once_break_no_session_at_the_real_stack",
            "however_many_log_in_at_once_one_text_message_is_sent",
        ],
    ),
    ("a start with nothing but a refresh token", &["a refresh with nothing but the refresh token"]),
    (
        "a refresh token that dies of being ignored when it is replaced",
        &["a_session_outlives_its_first_refresh_token", "a_session_at_the_real_stack_outlives_its_first_refresh_token"],
    ),
    (
        "a refresh that works and an API that refuses what came of it",
        &[
            "a_key_that_is_refused_right_after_a_renewal_is_final",
            "a_key_that_was_switched_off_ends_in_words_and_not_in_a_loop",
        ],
    ),
    (
        "every refusal that the real stack was seen to give",
        &[
            "a wrong secret, an unknown id, a person's password or a disabled key",
            "a field that the server misses",
            "a body that the server cannot read",
            "a media type that the server does not take",
            "an address with a slash too many, or of something else",
            "the server has an accident",
            "the refresh token has ended, or is not one",
            "an access token in its place",
            "the API sees no token, or the wrong scheme",
            "the_fake_answers_logins_as_the_real_stack_does",
            "the_fake_answers_refreshes_as_the_real_stack_does",
        ],
    ),
    (
        "a scheme in the wrong case, or where there is none",
        &[
            "the_fake_judges_access_tokens_as_the_real_stack_does",
            "headers_are_what_curl_reads_from_a_file",
            "an_api_key_gives_a_token_that_the_portal_takes",
            "a_login_gives_a_token_that_stands_alone_in_its_header",
        ],
    ),
    (
        "wrong credentials as a plain 400, and a token as a body",
        &["a_plain_400_is_a_refusal_and_trouble_is_for_later", "a_jwt_is_read_bare_with_a_line_end_and_in_json"],
    ),
    (
        "a token that carries the means to make others",
        &[
            "no_output_no_log_and_no_portal_ever_has_the_refresh_token",
            "a_jwt_that_ended_yesterday_is_refreshed_and_a_child_of_it_handed_out",
            "validity_is_said_again_at_each_refresh",
            "a_jwt_that_lay_unused_for_a_month_needs_the_human",
            "a_token_is_minted_anew_for_an_hour_each_time",
        ],
    ),
    (
        "a session without a header, and its end by 419",
        &[
            "a_session_is_read_in_quotes_and_bare",
            "a_session_that_timed_out_leads_to_exactly_one_login_of_a_remembered_password",
            "a_login_is_a_form_with_a_name_and_a_password_and_nothing_else",
            "a_wrong_password_is_refused_and_an_upgrade_is_for_later",
        ],
    ),
    (
        "a 200 or 201 that is no success",
        &[
            "a_login_without_a_second_factor_presents_both_headers",
            "a_reply_without_a_usable_token_is_a_fault_that_names_the_field",
            "the_newer_login_asks_for_a_text_message_where_that_is_one_of_the_options",
            "who_has_a_security_key_only_is_told_what_to_do_instead",
            "v2: a challenge is no success, whatever its status",
        ],
    ),
    (
        "a code as an integer, as a text, in a query; in groups, with letters, in other scripts' digits",
        &[
            "a_code_that_begins_with_a_zero_is_typed_as_it_stands_and_sent_as_an_integer",
            "letters_and_foreign_digits_are_refused_before_anything_is_sent",
            "a code is a text and keeps its zero",
            "a_redirect_that_leads_nowhere_asks_root_for_a_code_which_keeps_its_zeros",
            "a_code_of_letters_or_of_other_scripts_digits_is_refused_here",
        ],
    ),
    (
        "a question that nobody answers, that is answered wrongly, whose client dies, or that nobody could be asked",
        &[
            "a_question_belongs_to_the_connection_that_asked",
            "a_question_that_nobody_answers_ends_in_its_time_and_frees_the_account",
            "a_client_that_dies_over_the_question_frees_the_account",
            "a_wrong_code_is_asked_for_again_three_times_in_all_and_costs_no_text_message",
            "without_a_terminal_a_login_that_needs_a_code_ends_at_once_and_sends_no_text_message",
        ],
    ),
    (
        "a 403 that is a dead token, or a missing privilege; a token at another host, or beside another's name",
        &[
            "a_user_without_a_privilege_keeps_a_token_that_is_good_for_everything_else",
            "a_refused_action_costs_the_token_only_if_the_cloud_itself_calls_it_dead",
            "a_token_is_never_sent_to_another_host_than_the_one_that_minted_it",
            "name_and_token_of_two_users_are_never_mixed",
        ],
    ),
    (
        "an end that nobody tells, and a logout that the cloud does not take",
        &[
            "a_token_whose_end_nobody_tells_is_taken_to_live_for_twenty_hours_unless_the_account_says_otherwise",
            "a_check_tells_whether_the_token_is_alive_and_nothing_that_is_secret",
            "a_logout_revokes_and_forgets_whatever_the_cloud_says",
            "a_logout_forgets_even_if_the_cloud_cannot_be_told",
        ],
    ),
    (
        "a redirect of what carries a secret, and one that is a question",
        &[
            "a_redirect_of_a_login_is_not_followed",
            "a_redirect_of_itsyou_online_is_not_followed",
            "a_redirect_to_another_host_is_not_followed_and_carries_no_password",
            "a_redirect_that_leads_nowhere_asks_root_for_a_code_which_keeps_its_zeros",
            "a_code_is_in_no_log_although_it_sits_in_the_address",
        ],
    ),
    (
        "a 401 that says nothing about the password",
        &[
            "a_console_that_is_down_is_try_later_and_keeps_the_password_and_a_wrong_secret_is_final",
            "a_refused_login_says_why_in_either_shape",
        ],
    ),
];

#[test]
fn every_case_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = String::new();
    for place in ["daemon/src", "daemon/clouds", "tests/it"] {
        read(&root.join(place), &mut all);
    }
    for (case, tests) in CASES {
        assert!(!tests.is_empty(), "{case}");
        for test in tests {
            let there = if test.contains(' ') {
                all.lines().any(|line| line.starts_with("title ") && line.ends_with(&format!("\"{test}\"")))
            } else {
                all.contains(&format!("\nfn {test}()")) || all.contains(&format!("\nasync fn {test}()"))
            };
            assert!(there, "{case}: there is no test `{test}`");
        }
    }
}

fn read(directory: &Path, all: &mut String) {
    let paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in paths {
        if path.is_dir() {
            read(&path, all);
        } else {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
