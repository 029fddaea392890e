//! Cgroups that systemd manages: transient units, asked for over D-Bus.
//!
//! systemd expects to be the only one that makes cgroups outside of those that it delegated. Here the
//! container's cgroup is a scope of its own, delegated to the container's manager, so that systemd neither
//! removes it nor changes its limits behind our back.

mod annotations;
mod dbus;
mod manager;
mod properties;
mod unit;

pub use dbus::BusError;
pub use manager::SystemdManager;
pub use unit::SystemdUnit;
