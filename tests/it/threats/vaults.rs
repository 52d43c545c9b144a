//! Whoever gets at the sealed files, and disks that fail.
