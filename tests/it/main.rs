//! The programs as programs, against clouds that run. One module per topic.

#![cfg(unix)]

mod conformance;

// These drive the programs, which Cargo builds as `it-agent` and `it-token` of this package.
// mod autostart;
// mod concurrency;
// mod errors;
// mod formats;
// mod main_job;
// mod secrets;
// mod support;
