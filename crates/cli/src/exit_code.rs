//! The exit codes, as runc's.

/// Something failed.
pub const FAILURE: u8 = 1;
/// There is no such command.
pub const UNKNOWN_COMMAND: u8 = 3;
