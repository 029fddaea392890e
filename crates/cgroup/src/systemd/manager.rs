//! The service manager itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::annotations;
use super::dbus::{BusError, Call, Connection, Message, Value};
use super::properties;
use crate::{CgroupPath, Error, Resources, Result, SystemdUnit};

const DESTINATION: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// How long systemd may take for one thing. A reload takes seconds on hosts with many units.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often something is tried again that systemd's restart interrupted, and how long it may take.
const RESTARTS: u32 = 50;
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// A connection to the service manager of the system, or of the calling user.
#[derive(Debug)]
pub struct SystemdManager {
    connection: Connection,
    user: bool,
    version: u32,
}

impl SystemdManager {
    /// Connects to systemd: root to that of the system without any bus, others by a bus; for a user's
    /// manager `XDG_RUNTIME_DIR` must say where its sockets are.
    ///
    /// While systemd restarts (`systemctl daemon-reexec`) this waits for it.
    pub fn connect(user: bool) -> Result<Self> {
        let mut attempt = 0;
        loop {
            match Self::try_connect(user) {
                Err(error) if error.is_disruption() && attempt < RESTARTS => {
                    if attempt == 0 && !is_running(user) {
                        return Err(absent(user));
                    }
                    attempt += 1;
                    std::thread::sleep(RESTART_PAUSE);
                }
                connected => {
                    return connected.map_err(|source| failure("connect to systemd", source));
                }
            }
        }
    }

    fn try_connect(user: bool) -> Result<Self, BusError> {
        let [private, bus] = sockets(user);
        let connection = match Connection::open(&private, TIMEOUT) {
            Ok(connection) => connection,
            // For root of the system only, or for the user alone.
            Err(BusError::Io { .. }) => {
                let mut connection = Connection::open(&bus, TIMEOUT)?;
                connection.call(&Call {
                    destination: "org.freedesktop.DBus",
                    path: "/org/freedesktop/DBus",
                    interface: "org.freedesktop.DBus",
                    member: "Hello",
                    body: Vec::new(),
                })?;
                connection
            }
            Err(error) => return Err(error),
        };
        let mut manager = Self { connection, user, version: 0 };
        manager.version = version(&manager.property("Version")?);
        Ok(manager)
    }

    /// The version of systemd, as 252.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The cgroup of a unit, from the root of the hierarchy.
    pub fn cgroup_path(&mut self, unit: &SystemdUnit) -> Result<CgroupPath> {
        let mut own = String::new();
        let ask = |manager: &mut Self| {
            own = manager.property("ControlGroup")?;
            Ok(())
        };
        self.undisrupted(ask, |_| Ok(false)).map_err(|error| failure("ask systemd", error))?;
        let own = Path::new("/").join(own.trim_start_matches('/'));
        CgroupPath::new(own.join(unit.cgroup()))
    }

    /// Makes the unit, with the process `pid` in it, these limits, and the properties that annotations ask
    /// for. Returns when systemd has done it.
    pub fn start(
        &mut self,
        unit: &SystemdUnit,
        pid: u32,
        (resources, unified): (&Resources, bool),
        annotations: &BTreeMap<String, String>,
    ) -> Result<()> {
        let mut all = self.basic_properties(unit, pid);
        let limits = properties::of_resources(resources, unified, self.version)?;
        all.extend(limits.into_iter().map(|(name, value)| (name.to_owned(), value)));
        all.extend(annotations::properties(annotations)?);
        let array = |items| Value::Array("(sv)".into(), items);
        let auxiliary = Value::Array("(sa(sv))".into(), Vec::new());
        let body = vec![
            Value::str(unit.name()),
            Value::str("replace"),
            array(all.into_iter().map(property).collect()),
            auxiliary,
        ];
        // One that failed before is in the way of a new one of its name.
        self.reset_failed(unit);
        let start = |manager: &mut Self| manager.job("StartTransientUnit", body.clone(), unit);
        self.undisrupted(start, |manager| manager.is_active(unit))
            .map_err(|error| failure(START, error))
    }

    /// Does something, and again if systemd was gone in between, unless it turns out that it `is_done`.
    fn undisrupted(
        &mut self,
        mut action: impl FnMut(&mut Self) -> Result<(), BusError>,
        mut is_done: impl FnMut(&mut Self) -> Result<bool, BusError>,
    ) -> Result<(), BusError> {
        let mut disrupted = false;
        for _ in 0..RESTARTS {
            match action(self) {
                Err(error) if error.is_disruption() => disrupted = true,
                // What was disrupted may have been done.
                Err(error) if disrupted => return if is_done(self)? { Ok(()) } else { Err(error) },
                result => return result,
            }
            std::thread::sleep(RESTART_PAUSE);
            if let Ok(manager) = Self::try_connect(self.user) {
                *self = manager;
                if is_done(self).unwrap_or_default() {
                    return Ok(());
                }
            }
        }
        action(self)
    }

    /// What systemd says of a unit; nothing if it does not know it.
    fn active_state(&mut self, unit: &SystemdUnit) -> Result<Option<String>, BusError> {
        let known = match self.manager("GetUnit", vec![Value::str(unit.name())]) {
            Err(error) if error.is("NoSuchUnit") => return Ok(None),
            known => known?,
        };
        let path = known.first().and_then(Value::as_str).unwrap_or_default().to_owned();
        self.get(&path, "org.freedesktop.systemd1.Unit", "ActiveState").map(Some)
    }

    fn is_active(&mut self, unit: &SystemdUnit) -> Result<bool, BusError> {
        Ok(self.active_state(unit)?.as_deref() == Some("active"))
    }

    fn basic_properties(&self, unit: &SystemdUnit, pid: u32) -> Vec<(String, Value)> {
        let mut all = vec![
            ("Description", Value::str(format!("container {}", unit.name()))),
            ("DefaultDependencies", Value::Bool(false)),
            ("MemoryAccounting", Value::Bool(true)),
            ("CPUAccounting", Value::Bool(true)),
            ("TasksAccounting", Value::Bool(true)),
            ("IOAccounting", Value::Bool(true)),
        ];
        if unit.is_slice() {
            all.push(("Wants", Value::strings([unit.slice()])));
        } else {
            all.push(("Slice", Value::str(unit.slice())));
            all.push(("Delegate", Value::Bool(true)));
            all.push(("PIDs", Value::Array("u".into(), vec![Value::U32(pid)])));
        }
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Changes limits of a running unit. They are forgotten with it.
    pub fn set(&mut self, unit: &SystemdUnit, resources: &Resources, unified: bool) -> Result<()> {
        let limits = properties::of_resources(resources, unified, self.version)?;
        if limits.is_empty() {
            return Ok(());
        }
        let limits = limits.into_iter().map(|(name, value)| property((name.to_owned(), value)));
        let body = vec![
            Value::str(unit.name()),
            // Until the next boot, which a transient unit does not see.
            Value::Bool(true),
            Value::Array("(sv)".into(), limits.collect()),
        ];
        let change =
            |manager: &mut Self| manager.manager("SetUnitProperties", body.clone()).map(drop);
        let changed = self.undisrupted(change, |_| Ok(false));
        changed.map_err(|error| failure("set limits by systemd", error))
    }

    /// Stops the unit, which ends its processes, and forgets it. One that does not exist is no error.
    pub fn stop(&mut self, unit: &SystemdUnit) -> Result<()> {
        let body = vec![Value::str(unit.name()), Value::str("replace")];
        let stop = |manager: &mut Self| match manager.job("StopUnit", body.clone(), unit) {
            Err(error) if error.is("NoSuchUnit") => Ok(()),
            stopped => stopped,
        };
        let stopped = self.undisrupted(stop, |manager| Ok(manager.active_state(unit)?.is_none()));
        self.reset_failed(unit);
        stopped.map_err(|error| failure(STOP, error))
    }

    /// Forgets a unit that failed. That there mostly is none is an error to systemd only.
    fn reset_failed(&mut self, unit: &SystemdUnit) {
        drop(self.manager("ResetFailedUnit", vec![Value::str(unit.name())]));
    }

    /// Calls a method that returns a job, and waits for the end of that.
    fn job(
        &mut self,
        method: &'static str,
        body: Vec<Value>,
        unit: &SystemdUnit,
    ) -> Result<(), BusError> {
        // Without it, signals go to others only.
        self.manager("Subscribe", Vec::new())?;
        let job = self.manager(method, body)?;
        let job = job.first().and_then(Value::as_str).unwrap_or_default().to_owned();
        let ended = self.connection.wait_signal(|signal| is_end_of(signal, &job))?;
        match ended.body.get(3).and_then(Value::as_str) {
            Some("done") => Ok(()),
            result => Err(BusError::Refused {
                name: format!("job {}", result.unwrap_or("without a result")),
                message: format!("{method} of {} failed: see journalctl", unit.name()),
            }),
        }
    }

    fn manager(&mut self, member: &str, body: Vec<Value>) -> Result<Vec<Value>, BusError> {
        self.connection.call(&Call {
            destination: DESTINATION,
            path: OBJECT,
            interface: MANAGER,
            member,
            body,
        })
    }

    fn property(&mut self, name: &str) -> Result<String, BusError> {
        self.get(OBJECT, MANAGER, name)
    }

    fn get(&mut self, path: &str, interface: &str, name: &str) -> Result<String, BusError> {
        let answer = self.connection.call(&Call {
            destination: DESTINATION,
            path,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            body: vec![Value::str(interface), Value::str(name)],
        })?;
        match answer.first() {
            Some(Value::Variant(value)) => Ok(value.as_str().unwrap_or_default().to_owned()),
            _ => Ok(String::new()),
        }
    }

    /// Whose manager it is: a user's, or that of the system.
    pub fn is_user(&self) -> bool {
        self.user
    }
}

const START: &str = "start the unit by systemd";
const STOP: &str = "stop the unit by systemd";

fn property((name, value): (String, Value)) -> Value {
    Value::Struct(vec![Value::Str(name), value.variant()])
}

fn is_end_of(signal: &Message, job: &str) -> bool {
    signal.member == "JobRemoved" && signal.body.get(1).and_then(Value::as_str) == Some(job)
}

/// systemd's own socket, and that of the bus.
fn sockets(user: bool) -> [PathBuf; 2] {
    if !user {
        return ["/run/systemd/private", "/run/dbus/system_bus_socket"].map(PathBuf::from);
    }
    let runtime = runtime_directory();
    [runtime.join("systemd/private"), runtime.join("bus")]
}

fn runtime_directory() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR").map_or_else(
        || PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw())),
        PathBuf::from,
    )
}

/// As sd_booted(3).
fn is_running(user: bool) -> bool {
    Path::new("/run/systemd/system").is_dir()
        && (!user || runtime_directory().join("systemd").is_dir())
}

fn absent(user: bool) -> Error {
    let reason = if user {
        "no systemd of this user runs: log in, or `loginctl enable-linger`, and set XDG_RUNTIME_DIR"
    } else {
        "systemd does not run on this host: leave out --systemd-cgroup"
    };
    let path = runtime_directory().join("systemd");
    failure("connect to systemd", BusError::Protocol { path, reason })
}

fn failure(action: &'static str, source: BusError) -> Error {
    Error::Systemd { action, source }
}

/// The number in `252.30-1~deb12u2` or `v256`.
fn version(text: &str) -> u32 {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version("252.30-1~deb12u2"), 252);
        assert_eq!(version("v256"), 256);
        assert_eq!(version("systemd 219"), 219);
        assert_eq!(version(""), 0);
    }
}
