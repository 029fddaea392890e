//! The last descriptors.
//!
//! A path may lead through `/proc/self/fd`: from a descriptor of a directory of the host to anything of the
//! host. That a descriptor closes at execve(2) is too late, as the kernel looks up the program before. So
//! before any path is followed that the container's files have a say in, every descriptor is closed but
//! those below, none of which is a directory.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use coracle_process::Channel;
use coracle_sys::fd;
use rustix::io::fcntl_dupfd_cloexec;

use super::Setup;
use crate::InitError;
use crate::error::Step;
use crate::plan::StartGate;

/// The first descriptor after the standard streams.
const FIRST_PRESERVED: RawFd = 3;

/// What stays open besides the standard streams and the socket to the host.
pub(super) struct Kept {
    /// For the command, which finds them from number 3 on.
    preserved: Vec<OwnedFd>,
    /// The FIFOs of the start, if it is not the host who says when: to wait at, and to report a failure to.
    pub(super) gate: Option<(OwnedFd, OwnedFd)>,
}

impl Setup<'_> {
    /// Closes everything that is not needed any more.
    pub(super) fn let_go_of_host(&mut self) -> Result<Kept, InitError> {
        let step = "closing the host's descriptors";
        self.proc = None;
        let slots = &self.plan.process.preserved;
        // Above the numbers where the command will find its own.
        let above = i32::try_from(slots.len()).step(step)?.saturating_add(FIRST_PRESERVED);
        let mut moved = |slot| {
            let descriptor = self.descriptors.take(slot)?;
            fcntl_dupfd_cloexec(&descriptor, above).step(step)
        };
        let preserved = slots.iter().map(|slot| moved(*slot)).collect::<Result<Vec<_>, _>>()?;
        let gate = match self.plan.process.gate {
            StartGate::Message => None,
            StartGate::Fifo { start, result } => Some((moved(start)?, moved(result)?)),
        };
        if let Some(channel) = &self.channel {
            self.channel = Some(Channel::from(fcntl_dupfd_cloexec(channel, above).step(step)?));
        }
        self.descriptors.clear();
        let kept = Kept { preserved, gate };
        fd::close_all_but(&mut kept.numbers(self.channel.as_ref())).step(step)?;
        Ok(kept)
    }
}

impl Kept {
    fn numbers(&self, channel: Option<&Channel>) -> Vec<RawFd> {
        let gate = self.gate.iter().flat_map(|(start, result)| [start, result]);
        let kept = self.preserved.iter().chain(gate).map(AsRawFd::as_raw_fd);
        let channel = channel.map(|channel| channel.as_fd().as_raw_fd());
        kept.chain([0, 1, 2]).chain(channel).collect()
    }

    /// Puts the descriptors to be preserved where the command looks for them.
    pub(super) fn place_preserved(&self) -> Result<(), InitError> {
        for (descriptor, number) in self.preserved.iter().zip(FIRST_PRESERVED..) {
            fd::place(descriptor, number).step("placing preserved descriptors")?;
        }
        Ok(())
    }
}
