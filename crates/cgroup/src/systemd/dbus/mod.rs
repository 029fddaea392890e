//! As much of D-Bus as talking to systemd takes: <https://dbus.freedesktop.org/doc/dbus-specification.html>.

mod connection;
mod message;
mod value;

pub use connection::BusError;
pub(crate) use connection::Connection;
pub(crate) use message::{Call, Message};
pub(crate) use value::Value;
