//! The programs as programs, against clouds that run. One module per topic.

#![cfg(unix)]

mod autostart;
mod cleura;
mod concurrency;
mod conformance;
mod errors;
mod formats;
mod house;
mod main_job;
mod openvcloud;
mod secrets;
mod support;
mod terminal;
mod threats;
