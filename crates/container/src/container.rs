//! A container that is recorded in a store.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coracle_cgroup::Cgroup;
use coracle_process::PidFd;

use crate::seal::NAME;
use crate::state::Record;
use crate::store::{Entry, Lock};
use crate::{Error, Result, State, Status};

/// How long the claim of an id may take.
const CLAIM_TIME: Duration = Duration::from_millis(20);

/// A container of a [`Store`](crate::Store), by its record. What it is doing is asked from the kernel each time.
#[derive(Debug)]
pub struct Container {
    pub(crate) entry: Entry,
    /// Missing while it is being created, or when its creation was killed at the very beginning.
    pub(crate) record: Option<Record>,
}

impl Container {
    pub(crate) fn new(entry: Entry, record: Option<Record>) -> Self {
        Self { entry, record }
    }

    pub(crate) fn load(entry: Entry) -> Result<Self> {
        let record = entry.read()?;
        if record.is_none() && !entry.is_locked()? {
            // Between the making of the directory and its locking, or after an interruption there.
            std::thread::sleep(CLAIM_TIME);
            let record = entry.read()?;
            if record.is_none() && !entry.is_locked()? {
                return Err(entry.damaged("its creation was interrupted before it was recorded"));
            }
            return Ok(Self { entry, record });
        }
        Ok(Self { entry, record })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.entry.id
    }

    /// What it is doing at this moment.
    pub fn status(&self) -> Result<Status> {
        Ok(self.inspect()?.0)
    }

    /// The first process and its number, as long as it lives.
    pub fn process(&self) -> Result<Option<(i32, PidFd)>> {
        let Some(init) = self.record.as_ref().and_then(|record| record.init.as_ref()) else {
            return Ok(None);
        };
        Ok(init.process().open()?.map(|pidfd| (init.init_process_pid, pidfd)))
    }

    /// The status and, as long as it lives, the first process.
    pub(crate) fn inspect(&self) -> Result<(Status, Option<PidFd>)> {
        match self.inspect_recorded()? {
            // Who creates it holds the lock; if nobody does, nobody will finish it.
            None if self.entry.is_locked()? => Ok((Status::Creating, None)),
            None => Ok((Status::Stopped, None)),
            Some(found) => Ok(found),
        }
    }

    /// The same for a caller who has the lock, so that nobody creates it now.
    pub(crate) fn inspect_locked(&self, _: &Lock) -> Result<(Status, Option<PidFd>)> {
        Ok(self.inspect_recorded()?.unwrap_or((Status::Stopped, None)))
    }

    /// What the kernel says of the recorded process; nothing if none is recorded yet.
    fn inspect_recorded(&self) -> Result<Option<(Status, Option<PidFd>)>> {
        let Some(init) = self.record.as_ref().and_then(|record| record.init.as_ref()) else {
            return Ok(None);
        };
        let Some(pidfd) = init.process().open()? else {
            return Ok(Some((Status::Stopped, None)));
        };
        let status = if self.is_frozen()? {
            Status::Paused
        } else if self.entry.fifo().exists() && is_init_program(init.init_process_pid) {
            Status::Created
        } else {
            Status::Running
        };
        Ok(Some((status, Some(pidfd))))
    }

    /// What is recorded of it.
    pub(crate) fn recorded(&self) -> Result<&Record> {
        self.record.as_ref().ok_or_else(|| self.entry.damaged("nothing is recorded of it"))
    }

    fn is_frozen(&self) -> Result<bool> {
        match self.cgroup()?.map(|cgroup| cgroup.frozen()).transpose() {
            // Somebody has removed it; the process is elsewhere and runs.
            Err(coracle_cgroup::Error::Gone { .. }) => Ok(false),
            frozen => Ok(frozen?.unwrap_or_default()),
        }
    }

    /// Its cgroup, if it has one: the record alone may be of a creation that found it taken.
    pub(crate) fn cgroup(&self) -> Result<Option<Cgroup>> {
        Ok(self.entry.read_cgroup()?.as_ref().map(Cgroup::open).transpose()?)
    }

    /// Its state, as the OCI runtime specification defines it.
    pub fn state(&self) -> Result<State> {
        let (status, pidfd) = self.inspect()?;
        let Some(record) = self.record.clone() else {
            return Err(Error::WrongState {
                id: self.id().to_owned(),
                operation: "inspect",
                status,
                hint: None,
            });
        };
        let pid = record.init.filter(|_| pidfd.is_some()).map_or(0, |init| init.init_process_pid);
        Ok(State {
            oci_version: record.oci_version,
            id: record.id,
            pid,
            status,
            bundle: record.bundle,
            rootfs: record.rootfs,
            created: record.created,
            annotations: record.annotations,
            owner: user_name(&record.owner),
        })
    }
}

/// Does the process still run the init program, as until its start? The FIFO alone does not tell: whoever
/// started the container may have been killed before it removed it.
fn is_init_program(pid: i32) -> bool {
    let program = std::fs::read_link(format!("/proc/{pid}/exe"));
    // A process that may not be looked at is believed to be what the FIFO says.
    program.map_or(true, |path| path.to_string_lossy().starts_with(&format!("/memfd:{NAME}")))
}

/// The name of the user with this number, by the host's own files; the number if there is none.
fn user_name(uid: &str) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let fields = passwd.lines().map(|line| line.splitn(4, ':').collect::<Vec<_>>());
    let found = fields.into_iter().find(|fields| fields.get(2).copied() == Some(uid));
    found.and_then(|fields| fields.first().copied()).unwrap_or(uid).to_owned()
}

/// This moment as RFC 3339 in UTC, to the nanosecond.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = civil(since.as_secs() / 86_400);
    let second = since.as_secs() % 86_400;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let nanos = since.subsec_nanos();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{nanos:09}Z", second % 60)
}

/// The date of the day `days` after 1970-01-01, in the Gregorian calendar.
///
/// Counted in years that begin in March, so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(11_017), (2000, 3, 1));
        assert_eq!(civil(20_780), (2026, 11, 23));
        assert_eq!(civil(47_540), (2100, 2, 28));
        assert_eq!(civil(47_541), (2100, 3, 1));
    }
}
