//! Where held secrets rest.

mod memory;

pub use memory::Memory;

use crate::provider::{Boxed, Held};

/// A place for held secrets. `account` is always the account's key (its name in lower case).
///
/// Every method may return `Config` or `Internal` if the place cannot be read or written.
pub trait Vault: Send + Sync + 'static {
    /// What `status` and `--vault` call it.
    fn kind(&self) -> &'static str;

    /// Why this one is used, in a few words.
    fn reason(&self) -> &str;

    /// What is held of `account`, if anything.
    fn load<'a>(&'a self, account: &'a str) -> Boxed<'a, Option<Held>>;

    /// Replaces what is held of `account`. When this returns, a crash loses nothing that the vault promises to keep.
    fn save<'a>(&'a self, account: &'a str, held: &'a Held) -> Boxed<'a, ()>;

    /// Forgets all that is held of `account`; whether there was anything.
    fn erase<'a>(&'a self, account: &'a str) -> Boxed<'a, bool>;

    /// The accounts that something is held of.
    fn accounts(&self) -> Boxed<'_, Vec<String>>;
}
