//! Signals to a container.

use std::time::Duration;

use coracle_process::Signal;

use crate::{Container, Error, Result, Status};

/// How long the kernel may take to end all processes of a cgroup.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

impl Container {
    /// Sends `signal` to the first process.
    ///
    /// A container that shares its pid namespace has processes that would survive the first one: SIGKILL
    /// goes to all of them, even when the first has ended.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        let (status, init) = self.inspect()?;
        let shared = self.record.as_ref().is_some_and(|record| !record.own_pid_namespace);
        if signal == Signal::KILL && shared && status != Status::Creating {
            return self.kill_all();
        }
        let delivered = init.map(|init| init.signal(signal)).transpose()?.unwrap_or_default();
        if !delivered {
            return Err(Error::NotRunning);
        }
        // A frozen process on cgroup v1 does not even die.
        if signal == Signal::KILL
            && status == Status::Paused
            && let Some(cgroup) = self.cgroup()?
        {
            cgroup.thaw()?;
        }
        Ok(())
    }

    /// Kills every process in the container's cgroup and the first one, wherever it is.
    pub(crate) fn kill_all(&self) -> Result<()> {
        if let Some(cgroup) = self.cgroup()? {
            cgroup.kill(KILL_DEADLINE)?;
        }
        let record = self.record.as_ref().and_then(|record| record.init.as_ref());
        let Some(init) = record.map(|init| init.process().open()).transpose()?.flatten() else {
            return Ok(());
        };
        init.signal(Signal::KILL)?;
        if init.wait_exit(KILL_DEADLINE)? {
            Ok(())
        } else {
            Err(Error::Timeout(
                "waiting for the killed container to end: is its process stuck in the kernel?",
            ))
        }
    }
}
