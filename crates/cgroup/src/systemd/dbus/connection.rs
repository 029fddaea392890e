//! A connection to a bus, or straight to systemd.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::message::Kind;
use super::value::Malformed;
use super::{Call, Message, Value};

/// The identity is what the kernel says of the socket's other end, so the client claims none: a user
/// namespace may number users otherwise.
const HANDSHAKE: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

/// Why talking to systemd failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// Nobody listens, or the connection broke.
    #[error("cannot {action} {path}: {reason}")]
    Io {
        /// As "connect to".
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The other side says something else than the protocol allows.
    #[error("{path}: {reason}")]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What.
        reason: &'static str,
    },
    /// systemd refused.
    #[error("{message} ({name})")]
    Refused {
        /// The D-Bus name of the error.
        name: String,
        /// What it said.
        message: String,
    },
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl BusError {
    /// Has systemd gone, as while it executes itself anew?
    pub(crate) fn is_disruption(&self) -> bool {
        const GONE: [&str; 4] = ["NoReply", "Disconnected", "ServiceUnknown", "NameHasNoOwner"];
        match self {
            Self::Io { .. } | Self::Protocol { .. } => true,
            Self::Refused { name, .. } => {
                let name = name.strip_prefix("org.freedesktop.DBus.Error.");
                name.is_some_and(|name| GONE.contains(&name))
            }
            Self::Timeout(_) => false,
        }
    }

    /// Is it this error of systemd's, without the prefix `org.freedesktop.systemd1.`?
    pub(crate) fn is(&self, error: &str) -> bool {
        let name = match self {
            Self::Refused { name, .. } => name,
            _ => return false,
        };
        name.strip_prefix("org.freedesktop.systemd1.") == Some(error)
    }
}

/// An open connection. Every call has a deadline.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: UnixStream,
    path: PathBuf,
    /// What arrived and is no whole message yet.
    buffer: Vec<u8>,
    serial: u32,
    /// Signals that arrived while a reply was waited for.
    signals: Vec<Message>,
    timeout: Duration,
}

impl Connection {
    /// Connects to the socket at `path` and authenticates; each call may take `timeout`.
    pub(crate) fn open(path: &Path, timeout: Duration) -> Result<Self, BusError> {
        let socket = UnixStream::connect(path).map_err(|error| BusError::Io {
            action: "connect to",
            path: path.into(),
            reason: error.to_string(),
        })?;
        let mut connection = Self {
            socket,
            path: path.into(),
            buffer: Vec::new(),
            serial: 0,
            signals: Vec::new(),
            timeout,
        };
        connection.write(HANDSHAKE)?;
        let deadline = Instant::now() + timeout;
        // One line for each of the first two commands.
        connection.expect_line(b"DATA", deadline)?;
        connection.expect_line(b"OK ", deadline)?;
        Ok(connection)
    }

    /// Calls a method and returns what it returns.
    pub(crate) fn call(&mut self, call: &Call<'_>) -> Result<Vec<Value>, BusError> {
        self.serial += 1;
        let serial = self.serial;
        self.write(&call.encode(serial))?;
        let deadline = Instant::now() + self.timeout;
        loop {
            let message = self.receive(deadline)?;
            match message.kind {
                Kind::Return if message.reply_to == Some(serial) => return Ok(message.body),
                Kind::Error if message.reply_to == Some(serial) => {
                    let said = message.body.first().and_then(Value::as_str).unwrap_or_default();
                    let (name, message) = (message.error, said.to_owned());
                    return Err(BusError::Refused { name, message });
                }
                Kind::Signal => self.signals.push(message),
                _ => {}
            }
        }
    }

    /// Waits for a signal that `wanted` accepts; others are dropped.
    pub(crate) fn wait_signal(
        &mut self,
        mut wanted: impl FnMut(&Message) -> bool,
    ) -> Result<Message, BusError> {
        let deadline = Instant::now() + self.timeout;
        let early = std::mem::take(&mut self.signals);
        if let Some(found) = early.into_iter().find(|signal| wanted(signal)) {
            return Ok(found);
        }
        loop {
            let message = self.receive(deadline)?;
            if message.kind == Kind::Signal && wanted(&message) {
                return Ok(message);
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<Message, BusError> {
        loop {
            let length = Message::length(&self.buffer).map_err(|Malformed| self.malformed())?;
            if let Some(length) = length.filter(|length| *length <= self.buffer.len()) {
                let rest = self.buffer.split_off(length);
                let bytes = std::mem::replace(&mut self.buffer, rest);
                return Message::decode(&bytes).map_err(|Malformed| self.malformed());
            }
            self.read_more(deadline)?;
        }
    }

    fn expect_line(&mut self, start: &[u8], deadline: Instant) -> Result<(), BusError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.buffer.split_off(end + 2);
                let line = std::mem::replace(&mut self.buffer, rest);
                return match line.starts_with(start) {
                    true => Ok(()),
                    false => Err(self.protocol("it refuses this user")),
                };
            }
            self.read_more(deadline)?;
        }
    }

    fn read_more(&mut self, deadline: Instant) -> Result<(), BusError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(BusError::Timeout(self.timeout));
        }
        let mut bytes = [0; 4096];
        let read =
            self.socket.set_read_timeout(Some(left)).and_then(|()| self.socket.read(&mut bytes));
        match read {
            Ok(0) => Err(self.protocol("it closed the connection")),
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(BusError::Timeout(self.timeout))
            }
            Err(error) => Err(self.io("read from", &error)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        let written = self
            .socket
            .set_write_timeout(Some(self.timeout))
            .and_then(|()| self.socket.write_all(bytes));
        written.map_err(|error| self.io("write to", &error))
    }

    fn io(&self, action: &'static str, error: &std::io::Error) -> BusError {
        BusError::Io { action, path: self.path.clone(), reason: error.to_string() }
    }

    fn malformed(&self) -> BusError {
        self.protocol("it sent a malformed message")
    }

    fn protocol(&self, reason: &'static str) -> BusError {
        BusError::Protocol { path: self.path.clone(), reason }
    }
}
