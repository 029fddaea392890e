//! What this version can do, collected from where it is done.

use coracle_caps::CapSet;
use coracle_mount::MountOptions;
use coracle_ns::NamespaceKind;
use coracle_seccomp::{Action, Arch, FilterFlags, OCI_FLAGS, Operator, supported_flags};
use coracle_spec::OCI_VERSION;
use coracle_spec::features::{
    CgroupFeatures, Features, IntelRdtFeatures, LinuxFeatures, MemoryPolicyFeatures,
    MountExtensions, SeccompFeatures,
};
use coracle_spec::types::{Hooks, MemoryPolicy};

/// What this version can do, for engines that ask before they use it.
///
/// Only [`SeccompFeatures::supported_flags`] depends on the kernel.
pub fn features() -> Features {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Features {
        oci_version_min: "1.0.0".to_owned(),
        oci_version_max: OCI_VERSION.to_owned(),
        hooks: names(Hooks::NAMES),
        mount_options: MountOptions::words(),
        linux: linux(),
        annotations: [("io.github.coracle-containers.coracle.version".to_owned(), version)].into(),
        // A name that ends in a dot stands for all that begin with it.
        potentially_unsafe_config_annotations: vec!["org.systemd.property.".to_owned()],
    }
}

fn linux() -> LinuxFeatures {
    LinuxFeatures {
        namespaces: sorted(names(NamespaceKind::ALL)),
        capabilities: CapSet::known_names().collect(),
        cgroup: CgroupFeatures {
            v1: true,
            v2: true,
            systemd: true,
            systemd_user: true,
            rdma: true,
        },
        seccomp: seccomp(),
        apparmor: true.into(),
        selinux: true.into(),
        intel_rdt: IntelRdtFeatures { enabled: true, schemata: true, monitoring: true },
        memory_policy: Some(MemoryPolicyFeatures {
            modes: names(MemoryPolicy::MODES),
            flags: names(MemoryPolicy::FLAGS),
        }),
        mount_extensions: MountExtensions { idmap: true.into() },
        net_devices: true.into(),
    }
}

fn seccomp() -> SeccompFeatures {
    SeccompFeatures {
        enabled: true,
        actions: sorted(names(Action::OCI_NAMES)),
        operators: sorted(names(Operator::ALL)),
        archs: sorted(names(Arch::ALL.into_iter().filter(|arch| arch.is_supported()))),
        known_flags: flag_names(OCI_FLAGS),
        supported_flags: flag_names(OCI_FLAGS & supported_flags()),
    }
}

fn names(all: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
    all.into_iter().map(|name| name.to_string()).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn flag_names(flags: FilterFlags) -> Vec<String> {
    let names = flags.iter_names().map(|(name, _)| format!("SECCOMP_FILTER_FLAG_{name}"));
    sorted(names.collect())
}
