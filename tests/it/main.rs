//! The programs as programs, against clouds that run. One module per topic.

#![cfg(unix)]

use cloud_agent_tests::terminal;

mod access;
mod autostart;
mod cases;
mod check;
mod cleura;
#[cfg(target_os = "linux")]
mod clocks;
mod concurrency;
mod conformance;
mod conformance_keystone;
mod consumers;
mod docs;
mod doctor;
mod errors;
mod exits;
#[cfg(target_os = "linux")]
mod faults;
mod formats;
#[cfg(target_os = "linux")]
mod gates;
mod greencloud;
mod house;
mod human;
mod keystone;
mod login;
mod main_job;
mod mistyped;
mod observing;
mod openvcloud;
mod own_cloud;
#[cfg(target_os = "linux")]
mod packaging;
mod pages;
mod readme;
mod running;
mod secrets;
mod status;
mod support;
mod threats;
mod tutorial;
mod vault;
mod webitel;
#[cfg(target_os = "linux")]
mod windows;
mod words;
