//! The broker on a clock that stands still, against a cloud that does what the test says.

mod acting;
mod freshness;
mod getting_in;
mod scripted;
mod serving;
mod single_flight;
