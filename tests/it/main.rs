//! The programs as programs, against clouds that run. One module per topic.

#![cfg(unix)]

mod conformance;
mod house;
mod threats;
