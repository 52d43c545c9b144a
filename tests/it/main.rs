//! The programs as programs, against clouds that run. One module per topic.

#![cfg(unix)]

mod autostart;
mod concurrency;
mod conformance;
mod errors;
mod formats;
mod greencloud;
mod main_job;
mod secrets;
mod support;
mod webitel;
