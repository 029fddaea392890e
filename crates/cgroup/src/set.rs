//! Setting limits: each group of them goes to the hierarchy that has its controller.

use coracle_sys::Errno;

use crate::convert::{nonzero, or_max};
use crate::dir::Dir;
use crate::v2::enable::enable_for;
use crate::{
    BlockIo, Cgroup, Error, HugePages, Memory, Network, Permissions, Rdma, Resources, Result,
    Skipped, v1, v2,
};

impl Cgroup {
    /// Sets limits; what is not in `resources` stays as it is.
    ///
    /// Returns what the kernel has no setting for, as v2 has no swappiness. A limit of a
    /// controller that is missing, or that the caller may not set, is an error that names it; or,
    /// with [`Permissions::BestEffort`], it is skipped and returned as well. A value that the
    /// kernel refuses is always an error; limits set before it remain.
    ///
    /// Set limits before processes enter: a process with a real-time policy cannot enter without
    /// a real-time limit, and memory is counted only from when its controller is enabled.
    /// [`Resources::devices`] needs root in the initial user namespace on v2: without that, set
    /// devices apart, at best effort.
    pub fn set(&self, resources: &Resources, permissions: Permissions) -> Result<Vec<Skipped>> {
        let mut setter = Setter { cgroup: self, permissions, skips: Skips::default() };
        setter.run(resources)?;
        Ok(setter.skips.0)
    }
}

/// What could not be set and need not be.
#[derive(Debug, Default)]
pub(crate) struct Skips(Vec<Skipped>);

impl Skips {
    /// Notes a setting that this version of cgroups, or this kernel, does not have.
    pub(crate) fn unsupported(&mut self, controller: &str, setting: &str) {
        let reason = missing(controller, setting, "has no such setting here");
        self.0.push(Skipped { controller: controller.into(), reason });
    }
}

/// Sets one group of limits in a directory.
type Set<L> = fn(&Dir, &L, &mut Skips) -> Result<()>;

struct Setter<'a> {
    cgroup: &'a Cgroup,
    permissions: Permissions,
    skips: Skips,
}

impl Setter<'_> {
    fn run(&mut self, resources: &Resources) -> Result<()> {
        let Resources { memory, cpu, pids, .. } = resources;
        if *memory != Memory::default() {
            self.group(["memory", "memory"], memory, v1::memory::set, v2::memory::set)?;
        }
        if cpu.has_time() {
            self.group(["cpu", "cpu"], cpu, v1::cpu::set, v2::cpu::set)?;
        }
        if !cpu.cpus.is_empty() || !cpu.mems.is_empty() {
            self.group(["cpuset", "cpuset"], cpu, v2::cpuset::set, v2::cpuset::set)?;
        }
        if let Some(pids) = pids {
            self.group(["pids", "pids"], pids, set_pids, set_pids)?;
        }
        self.run_rest(resources)
    }

    fn run_rest(&mut self, resources: &Resources) -> Result<()> {
        let Resources { block_io, huge_pages, network, rdma, devices, unified, .. } = resources;
        if *block_io != BlockIo::default() {
            self.group(["blkio", "io"], block_io, v1::blkio::set, v2::io::set)?;
        }
        if !huge_pages.is_empty() {
            self.group(
                ["hugetlb", "hugetlb"],
                huge_pages.as_slice(),
                v1::hugetlb::set,
                v2::hugetlb::set,
            )?;
        }
        if nonzero(network.class_id).is_some() {
            self.v1_only("net_cls", network, v1::network::set_class)?;
        }
        if !network.priorities.is_empty() {
            self.v1_only("net_prio", network, v1::network::set_priorities)?;
        }
        for limit in rdma {
            self.group(["rdma", "rdma"], &limit, set_rdma, set_rdma)?;
        }
        if !devices.is_empty() {
            self.group(
                ["devices", "devices"],
                devices.as_slice(),
                v1::devices::set,
                v2::devices::set,
            )?;
        }
        unified.iter().try_for_each(|(file, value)| self.unified(file, value))
    }

    /// Sets a group of limits where its controller is, which has a name in each version.
    fn group<L: ?Sized>(
        &mut self,
        [v1, v2]: [&str; 2],
        limits: &L,
        on_v1: Set<L>,
        on_v2: Set<L>,
    ) -> Result<()> {
        let (name, result) = match (self.cgroup.v1(v1), &self.cgroup.unified) {
            (Some(dir), _) => (v1, on_v1(dir, limits, &mut self.skips)),
            (None, Some(dir)) => {
                // Beside v1 hierarchies the controllers of v2 are left alone until needed.
                let enabled = if self.cgroup.legacy.is_empty() || v2 == "devices" {
                    Ok(())
                } else {
                    enable_for(dir, v2)
                };
                (v2, enabled.and_then(|()| on_v2(dir, limits, &mut self.skips)))
            }
            (None, None) => (v1, Err(missing(v1, "its limits", NOT_MOUNTED))),
        };
        self.settle(name, result)
    }

    fn v1_only(&mut self, name: &str, limits: &Network, set: Set<Network>) -> Result<()> {
        let result = match self.cgroup.v1(name) {
            Some(dir) => set(dir, limits, &mut self.skips),
            None if self.cgroup.legacy.is_empty() => {
                self.skips.unsupported(name, "the marks of packets");
                Ok(())
            }
            None => Err(missing(name, "the marks of packets", NOT_MOUNTED)),
        };
        self.settle(name, result)
    }

    fn unified(&mut self, file: &str, value: &str) -> Result<()> {
        let controller = file.split('.').next().unwrap_or_default();
        let result = match &self.cgroup.unified {
            Some(dir) if self.cgroup.legacy.is_empty() => v2::unified::set(dir, file, value),
            _ if !self.cgroup.legacy.is_empty() => Err(Error::InvalidValue {
                setting: "unified",
                value: file.into(),
                reason: "needs a host with cgroup v2 alone",
            }),
            _ => Err(missing(controller, file, NOT_MOUNTED)),
        };
        self.settle(controller, result)
    }

    /// Skips what may be skipped, and says why a controller is missing if that is known.
    fn settle(&mut self, controller: &str, result: Result<()>) -> Result<()> {
        let Err(mut error) = result else { return Ok(()) };
        if let Error::MissingController { reason, .. } = &mut error
            && let Some(skipped) =
                self.cgroup.skipped.iter().find(|skipped| {
                    skipped.controller == controller || skipped.controller.is_empty()
                })
        {
            *reason = format!("is not available: {}", skipped.reason);
        }
        if self.permissions == Permissions::BestEffort
            && (error.is_permission() || error.is_missing())
        {
            self.skips.0.push(Skipped { controller: controller.into(), reason: error });
            return Ok(());
        }
        Err(error)
    }
}

const NOT_MOUNTED: &str = "is not mounted here: leave it out, or mount the controller's hierarchy";

fn missing(controller: &str, setting: &str, reason: &str) -> Error {
    Error::MissingController {
        controller: controller.into(),
        setting: setting.into(),
        reason: reason.into(),
    }
}

fn set_pids(dir: &Dir, limit: &i64, _: &mut Skips) -> Result<()> {
    // A cgroup without any process is no use, so 0 means the one to be started.
    let limit = if *limit == 0 { 1 } else { *limit };
    dir.write("pids.max", &or_max(limit))
}

fn set_rdma(dir: &Dir, (device, limit): &(&String, &Rdma), _: &mut Skips) -> Result<()> {
    let mut line = (*device).clone();
    for (key, value) in [("hca_handle", limit.hca_handles), ("hca_object", limit.hca_objects)] {
        if let Some(value) = value {
            line.push_str(&format!(" {key}={value}"));
        }
    }
    dir.write("rdma.max", &line)
}

/// Writes a value; returns it if it does not fit yet but may `later`.
pub(crate) fn write_or_defer(
    dir: &Dir,
    file: &str,
    value: u64,
    later: bool,
) -> Result<Option<u64>> {
    match dir.write(file, &value.to_string()) {
        Err(error) if later && error.errno() == Some(Errno::INVAL) => Ok(Some(value)),
        result => result.map(|()| None),
    }
}

/// Writes the limits of huge pages, and the same for their reservations where those are counted.
pub(crate) fn set_huge_pages(dir: &Dir, limits: &[HugePages], suffix: &str) -> Result<()> {
    for pages in limits {
        let size = &pages.page_size;
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let reason = "must be a size of huge pages that this host has, such as 2MB";
            let value = size.clone();
            return Err(Error::InvalidValue { setting: "page size", value, reason });
        }
        let limit = pages.limit.to_string();
        dir.write(&format!("hugetlb.{size}.{suffix}"), &limit)?;
        match dir.write(&format!("hugetlb.{size}.rsvd.{suffix}"), &limit) {
            Err(error) if error.is_missing() => {}
            result => result?,
        }
    }
    Ok(())
}
