//! Green Cloud.
