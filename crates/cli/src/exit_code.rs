//! The exit codes, as runc's.

/// Something failed.
pub const FAILURE: u8 = 1;
/// There is no such command.
pub const UNKNOWN_COMMAND: u8 = 3;
/// A command could not be executed in a container: what `exec` adds to the codes of commands.
pub const EXEC_FAILURE: u8 = 255;
