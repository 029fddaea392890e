//! Seccomp filters, compiled in pure Rust.
