//! The namespaces, from inside.

use coracle_mount::write_sysctl;
use coracle_ns::{NamespaceKind, set_domainname, set_hostname, unshare};
use coracle_sys::net::loopback_up;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::Setup;
use crate::InitError;
use crate::error::Step;
use crate::plan::{NamespacesPlan, Place};

impl Setup<'_> {
    /// In a user namespace of its own this process has been nobody until now.
    pub(super) fn become_root_of_namespace(&self) -> Result<(), InitError> {
        if !self.plan.place.has_user_namespace() {
            return Ok(());
        }
        let step = "becoming root of the user namespace (does it map 0?)";
        set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).step(step)?;
        if self.may_set_groups()? {
            set_thread_groups(&[]).step("leaving the host's groups")?;
        }
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).step(step)?;
        if self.is_alone() {
            // The change of user took the process its own files in /proc.
            set_dumpable_behavior(DumpableBehavior::Dumpable).step("owning /proc/self")?;
        }
        Ok(())
    }

    /// Is nobody else in the namespaces, who could trace this process?
    fn is_alone(&self) -> bool {
        matches!(&self.plan.place, Place::New(plan) if plan.namespaces.join.is_empty())
    }

    pub(super) fn setup_namespaces(
        &self,
        namespaces: &NamespacesPlan,
        makes_time: bool,
    ) -> Result<(), InitError> {
        if makes_time {
            let made = namespaces.time_offsets.enter_new(self.proc()?);
            made.step("making the time namespace and setting /linux/timeOffsets")?;
        }
        if namespaces.create.contains(NamespaceKind::Cgroup) {
            // It hides what is above the cgroup that the process is in now.
            unshare(NamespaceKind::Cgroup).step("creating the cgroup namespace")?;
        }
        if namespaces.create.contains(NamespaceKind::Net) {
            loopback_up().step("bringing up the loopback interface")?;
        }
        if let Some(name) = &namespaces.hostname {
            set_hostname(name).step("setting /hostname")?;
        }
        if let Some(name) = &namespaces.domainname {
            set_domainname(name).step("setting /domainname")?;
        }
        for (name, value) in &namespaces.sysctls {
            self.set_sysctl(name, value)?;
        }
        Ok(())
    }

    /// The names of the host go by their calls, which root of any user namespace may make: their files belong to
    /// root of the host.
    fn set_sysctl(&self, name: &str, value: &str) -> Result<(), InitError> {
        let step = "setting /linux/sysctl";
        match name {
            "kernel/hostname" => set_hostname(value).step(step),
            "kernel/domainname" => set_domainname(value).step(step),
            _ => write_sysctl(self.proc()?, name, value).step(step),
        }
    }
}
