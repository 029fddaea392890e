//! The five capability sets of a process, and giving them to the calling thread.

use coracle_sys::SyscallError;
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
};
use serde::{Deserialize, Serialize};

use crate::CapSet;

/// Capabilities that the kernel did not give or take.
#[derive(Debug, thiserror::Error)]
#[error("cannot change the {set} capabilities")]
pub struct Error {
    set: &'static str,
    source: SyscallError,
}

impl Error {
    fn new(set: &'static str, call: &'static str, args: CapSet, errno: Errno) -> Self {
        Self { set, source: SyscallError::new(call, args.to_string(), errno) }
    }
}

/// What a process shall have in its five sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityPlan {
    /// What it can ever have.
    pub bounding: CapSet,
    /// What is in force.
    pub effective: CapSet,
    /// What it may put in force.
    pub permitted: CapSet,
    /// What it may pass through execve(2) to a file that has them inheritable.
    pub inheritable: CapSet,
    /// What an unprivileged program keeps through execve(2).
    pub ambient: CapSet,
}

impl CapabilityPlan {
    /// The same sets for a host that has only `available` to give.
    pub fn restricted_to(self, available: CapSet) -> Self {
        Self {
            bounding: self.bounding & available,
            effective: self.effective & available,
            permitted: self.permitted & available,
            inheritable: self.inheritable & available,
            ambient: self.ambient & available,
        }
    }

    /// Every capability that stands in one of the sets.
    pub fn union(&self) -> CapSet {
        self.bounding | self.effective | self.permitted | self.inheritable | self.ambient
    }

    /// Drops from the bounding set of the calling thread all that is not in the plan. `CAP_SETPCAP`.
    pub fn limit_bounding(&self) -> Result<(), Error> {
        for one in CapSet::ALL.iter() {
            match capability_is_in_bounding_set(one.to_rustix()) {
                // The number after the kernel's last one.
                Err(Errno::INVAL) => break,
                Ok(true) if (one & self.bounding).is_empty() => {
                    remove_capability_from_bounding_set(one.to_rustix())
                        .map_err(|errno| Error::new("bounding", "PR_CAPBSET_DROP", one, errno))?;
                }
                Ok(_) => {}
                Err(errno) => return Err(Error::new("bounding", "PR_CAPBSET_READ", one, errno)),
            }
        }
        Ok(())
    }

    /// Gives the calling thread the other four sets. An ambient capability must be permitted and inheritable.
    pub fn apply(&self) -> Result<(), Error> {
        let sets = CapabilitySets {
            effective: self.effective.to_rustix(),
            permitted: self.permitted.to_rustix(),
            inheritable: self.inheritable.to_rustix(),
        };
        set_capabilities(None, sets).map_err(|errno| {
            Error::new("effective, permitted and inheritable", "capset", self.permitted, errno)
        })?;
        clear_ambient_capability_set()
            .map_err(|errno| Error::new("ambient", "PR_CAP_AMBIENT", CapSet::default(), errno))?;
        for one in self.ambient.iter() {
            configure_capability_in_ambient_set(one.to_rustix(), true)
                .map_err(|errno| Error::new("ambient", "PR_CAP_AMBIENT", one, errno))?;
        }
        Ok(())
    }
}

/// What the calling thread can give to a process it starts: its permitted set, within its bounding set.
pub fn available() -> Result<CapSet, Error> {
    let sets = capabilities(None)
        .map_err(|errno| Error::new("permitted", "capget", CapSet::default(), errno))?;
    let in_bounding =
        |one: &CapSet| matches!(capability_is_in_bounding_set(one.to_rustix()), Ok(true));
    Ok(CapSet::from_bits(sets.permitted.bits()).iter().filter(in_bounding).collect())
}
