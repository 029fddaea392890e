//! What this version can do, collected from where it is done.

use coracle_caps::CapSet;
use coracle_mount::MountOptions;
use coracle_ns::NamespaceKind;
use coracle_seccomp::{Action, Arch, FilterFlags, OCI_FLAGS, Operator, supported_flags};
use coracle_spec::features::{
    CgroupFeatures, Features, IntelRdtFeatures, LinuxFeatures, MemoryPolicyFeatures,
    MountExtensions, SeccompFeatures,
};
use coracle_spec::types::{Hooks, MemoryPolicy};
use coracle_spec::{OCI_VERSION, UNSUPPORTED};

/// What this version can do, for engines that ask before they use it.
///
/// Only [`SeccompFeatures::supported_flags`] depends on the kernel.
pub fn features() -> Features {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Features {
        oci_version_min: "1.0.0".to_owned(),
        oci_version_max: OCI_VERSION.to_owned(),
        hooks: names(Hooks::NAMES.into_iter().filter(|name| has(&format!("/hooks/{name}")))),
        mount_options: MountOptions::words()
            .into_iter()
            .filter(|word| has(&format!("/mounts/*/options/*={word}")))
            .collect(),
        linux: linux(),
        annotations: [("io.github.coracle-containers.coracle.version".to_owned(), version)].into(),
        // None is acted on at all.
        potentially_unsafe_config_annotations: Vec::new(),
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
            rdma: has("/linux/resources/rdma"),
        },
        seccomp: seccomp(),
        apparmor: has("/process/apparmorProfile").into(),
        selinux: (has("/process/selinuxLabel") && has("/linux/mountLabel")).into(),
        intel_rdt: IntelRdtFeatures {
            enabled: has("/linux/intelRdt"),
            schemata: has("/linux/intelRdt/schemata"),
            monitoring: has("/linux/intelRdt/enableMonitoring"),
        },
        memory_policy: has("/linux/memoryPolicy").then(|| MemoryPolicyFeatures {
            modes: names(MemoryPolicy::MODES),
            flags: names(MemoryPolicy::FLAGS),
        }),
        mount_extensions: MountExtensions { idmap: has("/mounts/*/uidMappings").into() },
        net_devices: has("/linux/netDevices").into(),
    }
}

fn seccomp() -> SeccompFeatures {
    let acts = |name: &&str| has(&format!("/linux/seccomp/syscalls/*/action={name}"));
    SeccompFeatures {
        enabled: has("/linux/seccomp"),
        actions: sorted(names(Action::OCI_NAMES.into_iter().filter(acts))),
        operators: sorted(names(Operator::ALL)),
        archs: sorted(names(Arch::ALL.into_iter().filter(|arch| arch.is_supported()))),
        known_flags: flag_names(OCI_FLAGS),
        supported_flags: flag_names(OCI_FLAGS & supported_flags()),
    }
}

/// Whether what a configuration says at `pointer` is acted on.
fn has(pointer: &str) -> bool {
    let lacks = |unsupported: &&str| {
        let rest = pointer.strip_prefix(unsupported);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !UNSUPPORTED.iter().any(lacks)
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
