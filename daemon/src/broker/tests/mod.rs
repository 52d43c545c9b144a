//! The broker on a clock that stands still, against a cloud that does what the test says.

mod acting;
mod freshness;
mod getting_in;
mod rotation;
mod scripted;
mod single_flight;
