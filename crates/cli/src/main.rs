//! The coracle command: an OCI runtime.

fn main() {}
