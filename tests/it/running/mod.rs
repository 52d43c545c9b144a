//! The ways in which an agent comes to be there, stays, and goes.
//!
//! | module | what |
//! |---|---|
//! | `forms` | `--fork` for every shell, and a program that is run with an agent |
//! | `found` | whoever asks finds the one agent |
//! | `idle` | an agent that nobody calls |
//! | `reload` | an edited configuration |
//! | `restart` | another program, the same agent |
//! | `systemd` | what systemd hands down, is told, and runs |

mod forms;
#[cfg(target_os = "linux")]
mod found;
mod idle;
#[cfg(target_os = "linux")]
mod reload;
#[cfg(target_os = "linux")]
mod restart;
#[cfg(target_os = "linux")]
mod systemd;
