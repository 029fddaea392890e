//! What happens to a container while it runs: what it uses, at intervals, and memory that runs out.

mod report;

use std::time::{Duration, Instant};

use coracle_cgroup::{Cgroup, OomWatch, Stats};
use coracle_process::PidFd;
use coracle_rdt::Stats as RdtStats;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::{Serialize, Serializer};

use crate::rdt::RdtRecord;
use crate::{Container, Error, Result};
use report::Report;

/// Something that happened to a container.
///
/// It is serialized as runc's `events` prints it: for `go-runc`, and for whoever else reads that.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The container.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a container.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// It was measured.
    Stats {
        /// What it uses.
        used: Box<Stats>,
        /// Its share of caches and memory bandwidth, if it has one apart from others.
        rdt: Option<Box<RdtStats>>,
    },
    /// Its memory ran out.
    Oom,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            r#type: &'static str,
            id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<Report<'a>>,
        }
        let (r#type, data) = match &self.kind {
            EventKind::Stats { used, rdt } => ("stats", Some(Report::new(used, rdt.as_deref()))),
            EventKind::Oom => ("oom", None),
        };
        Line { r#type, id: &self.id, data }.serialize(serializer)
    }
}

impl Container {
    /// What happens to it until it ends: what it uses after each `interval`, and at once when its memory runs
    /// out. An interval of zero measures without a pause.
    ///
    /// It fails as [`Container::stats`] does. A paused container is measured as well.
    pub fn events(&self, interval: Duration) -> Result<Events> {
        let (status, init) = self.inspect()?;
        let cgroup = self.measured_cgroup(status)?;
        let Some(init) = init else { return Err(Error::NotRunning) };
        Ok(Events {
            id: self.id().to_owned(),
            // What could not be watched, as without the controller, can be measured all the same.
            oom: cgroup.watch_oom()?,
            rdt: self.record.as_ref().and_then(|record| record.rdt.clone()),
            cgroup,
            init,
            interval,
            next: Instant::now().checked_add(interval),
            untold: 0,
            ended: false,
        })
    }
}

/// What happens to a container, until it ends: the next event is waited for.
#[derive(Debug)]
pub struct Events {
    id: String,
    cgroup: Cgroup,
    oom: Option<OomWatch>,
    rdt: Option<RdtRecord>,
    init: PidFd,
    interval: Duration,
    /// When to measure; never, for an interval without an end.
    next: Option<Instant>,
    /// How often memory ran out without having been told.
    untold: u64,
    ended: bool,
}

impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = match self.wait() {
            // There is nothing to look at any more.
            Err(Error::Cgroup(coracle_cgroup::Error::Gone { .. })) => None,
            kind => kind.transpose(),
        };
        self.ended |= kind.is_none();
        kind.map(|kind| Ok(Event { id: self.id.clone(), kind: kind? }))
    }
}

impl Events {
    /// The next event; nothing at the end.
    fn wait(&mut self) -> Result<Option<EventKind>> {
        loop {
            if self.untold > 0 {
                self.untold -= 1;
                return Ok(Some(EventKind::Oom));
            }
            if self.ended {
                return Ok(None);
            }
            // First whether it has ended, so that what it died of is still seen.
            self.ended = self.poll()?;
            if let Some(oom) = &mut self.oom {
                self.untold = oom.take()?;
            }
            let now = Instant::now();
            if self.untold == 0 && !self.ended && self.next.is_some_and(|next| now >= next) {
                // After a time in which nobody asked, not many at once.
                let next = self.next.and_then(|next| next.checked_add(self.interval));
                self.next = next.map(|next| next.max(now));
                return Ok(Some(EventKind::Stats {
                    used: Box::new(self.cgroup.stats()?),
                    rdt: self.rdt.as_ref().map(RdtRecord::stats).transpose()?.map(Box::new),
                }));
            }
        }
    }

    /// Waits until there is something to do. Has the container ended?
    fn poll(&self) -> Result<bool> {
        let left = self.next.map(|next| next.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = vec![PollFd::new(&self.init, PollFlags::IN)];
        fds.extend(self.oom.iter().map(|oom| PollFd::new(oom, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => Ok(!fds[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(Error::file("wait for", "the container", errno)),
        }
    }
}
