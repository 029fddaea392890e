//! Lowering is pure: it is tested without a kernel, as text.

use std::path::Path;

use coracle_caps::CapSet;
use coracle_cgroup::{CgroupPath, CgroupRoot};
use coracle_init::plan::{MountKind, MountStep};
use coracle_seccomp::Cache;
use coracle_spec::LoadedSpec;
use serde_json::{Value, json};

use super::seccomp::Compiler;
use super::{Context, Lowered, lower};
use crate::Result;

mod configurations;

/// Lowers the default configuration after `change`, for a host with cgroup v2.
fn lowered(change: impl FnOnce(&mut Value)) -> Result<Lowered> {
    let mut document: Value = serde_json::from_str(&coracle_spec::default_document(None)).unwrap();
    change(&mut document);
    lowered_text(&serde_json::to_vec(&document).unwrap())
}

/// Lowers a configuration for a host with cgroup v2.
fn lowered_text(document: &[u8]) -> Result<Lowered> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
    let cgroups = CgroupRoot::unified_at(directory.path()).unwrap();
    let path = CgroupPath::for_container("", "test").unwrap();
    let mut loaded = LoadedSpec::from_slice(document)?;
    let context = Context {
        id: "test",
        bundle: Path::new("/bundle"),
        root: &Path::new("/bundle").join(&loaded.spec.root.path),
        cgroups: &cgroups,
        cgroup_paths: &cgroups.paths(&path).unwrap(),
        own_cgroup_namespace: true,
        capabilities: CapSet::ALL,
        rootless: false,
        no_pivot: false,
        no_new_keyring: false,
    };
    let filters = Cache::new(directory.path().join("filters"));
    let compiler = Compiler { cache: filters, records_denied: false };
    let mut lowered = lower(&mut loaded.spec, &context, &compiler)?;
    // The one thing that differs between runs.
    for step in &mut lowered.mounts.steps {
        if let coracle_init::plan::MountKind::Cgroup { copies, .. } = &mut step.kind {
            copies.clear();
        }
    }
    Ok(lowered)
}

#[test]
fn the_default_configuration() {
    let lowered = lowered(|_| {}).unwrap();
    assert!(lowered.warnings.is_empty());
    let Lowered { namespaces, mounts, process, confine, .. } = lowered;
    insta::assert_debug_snapshot!((namespaces, mounts, process, confine));
}

#[test]
fn a_source_in_the_root_is_found_there() {
    let lowered = lowered(|spec| {
        let mount = json!({"destination": "/b", "type": "bind", "source": "rootfs/a", "options": ["rbind"]});
        spec["mounts"].as_array_mut().unwrap().push(mount);
    });
    let steps = lowered.unwrap().mounts.steps;
    insta::assert_debug_snapshot!(steps.last().unwrap());
}

#[test]
fn labels_go_to_what_has_labels_of_its_own() {
    let lowered = lowered(|spec| {
        spec["linux"]["mountLabel"] = json!("u:r:t:s0:c1,c2");
        let options = json!(["context=\"u:r:other:s0\""]);
        let own = json!({"destination": "/own", "type": "tmpfs", "options": options});
        let bind = json!({"destination": "/bind", "source": "/srv", "options": ["bind"]});
        spec["mounts"].as_array_mut().unwrap().extend([own, bind]);
    });
    let context = |step: &MountStep| match &step.kind {
        MountKind::Filesystem(filesystem) => {
            let mut parameters = filesystem.parameters.iter();
            parameters.find(|it| it.key == "context").map(|it| it.to_string())
        }
        _ => None,
    };
    let steps = lowered.unwrap().mounts.steps;
    let found: Vec<_> =
        steps.iter().map(|step| (step.path.to_str().unwrap(), context(step))).collect();
    let label = Some("context=u:r:t:s0:c1,c2".to_owned());
    let expected = [
        ("/proc", None),
        ("/dev", label.clone()),
        ("/dev/pts", label.clone()),
        ("/dev/shm", label),
        ("/dev/mqueue", None),
        ("/sys", None),
        ("/sys/fs/cgroup", None),
        ("/own", Some("context=u:r:other:s0".to_owned())),
        ("/bind", None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_dev_of_the_host_is_left_alone() {
    let lowered = lowered(|spec| {
        let bind = json!({"destination": "/dev", "source": "/dev", "options": ["rbind"]});
        spec["mounts"] = json!([bind]);
    });
    let mounts = lowered.unwrap().mounts;
    assert!(!mounts.setup_dev && mounts.devices.is_empty());
}

#[test]
fn rights_that_make_no_sense_are_warned_of() {
    let lowered = lowered(|spec| {
        spec["process"]["capabilities"]["ambient"] = json!(["CAP_KILL"]);
    });
    let lowered = lowered.unwrap();
    assert!(lowered.confine.capabilities.ambient.is_empty());
}

#[test]
fn what_would_reach_the_host_is_refused() {
    let without_mount = |spec: &mut Value| {
        spec["linux"]["namespaces"] = json!([{"type": "pid"}]);
        spec["linux"]["maskedPaths"] = json!([]);
        spec["linux"]["readonlyPaths"] = json!([]);
        spec["hostname"] = json!("");
    };
    let error = lowered(without_mount).unwrap_err().to_string();
    assert!(error.contains("/linux/namespaces"), "{error}");
}
