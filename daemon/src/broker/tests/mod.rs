//! The broker on a clock that stands still, against a cloud that does what the test says.

mod acting;
mod ahead;
mod clocks;
#[cfg(target_os = "linux")]
mod estate;
mod freshness;
mod getting_in;
mod human;
mod isolation;
mod locking;
mod model;
mod rotation;
mod scripted;
mod serving;
mod single_flight;
mod terms;
