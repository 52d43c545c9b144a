//! Where the kernel is not asked. What has changed is found out at the next use, or not at all.

use std::io;
use std::path::Path;

/// None.
#[derive(Debug)]
pub(crate) struct Watch;

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn names_in(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn files_in(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) async fn changed(&self) -> io::Result<()> {
        std::future::pending().await
    }

    pub(crate) async fn written(&self) -> io::Result<()> {
        std::future::pending().await
    }
}
