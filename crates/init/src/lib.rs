//! The sealed program that becomes a container's first process.
