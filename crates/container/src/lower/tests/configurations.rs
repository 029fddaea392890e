//! What engines ask for: configurations as podman, Docker, containerd's ctr and buildah have written them, and by
//! hand as containerd does for the kubelet. What they say of the host they came from is replaced by names or left
//! out. The suite runs them.

use std::fs;
use std::path::Path;

use coracle_init::plan::{BindSource, MountKind, MountStep, MountsPlan};
use coracle_mount::{CgroupMount, MountFlags, Propagation, SourceLink};

use super::lowered_text;

#[test]
fn of_engines() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lower/configurations");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 20);
    for file in files {
        let plan = lowered_text(&fs::read(&file).unwrap()).unwrap().mounts;
        insta::with_settings!({omit_expression => true}, {
            insta::assert_snapshot!(file.file_stem().unwrap().to_str().unwrap(), text(&plan));
        });
    }
}

/// A line for each thing that is done, in order.
fn text(plan: &MountsPlan) -> String {
    let outside = format!("outside {}", propagation(&plan.outside));
    let root = format!("root {} pivot={}", plan.root.display(), plan.pivot);
    let mut lines = vec![outside, root];
    lines.extend(plan.steps.iter().map(step));
    lines.push(format!("dev set up={} bound={}", plan.setup_dev, plan.bind_devices));
    lines.extend(plan.devices.iter().map(|device| format!("{device:?}")));
    let paths = [
        ("readonly later", &plan.readonly_later),
        ("masked", &plan.masked),
        ("readonly", &plan.readonly),
    ];
    lines.extend(paths.iter().filter(|(_, paths)| !paths.is_empty()).map(|(name, paths)| {
        let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
        format!("{name} {}", paths.join(" "))
    }));
    lines.push(format!("root readonly={}", plan.readonly_root));
    lines.extend(plan.propagation.iter().map(|it| format!("root {}", propagation(it))));
    lines.join("\n")
}

fn step(step: &MountStep) -> String {
    let what = match &step.kind {
        MountKind::Filesystem(it) => {
            let source = it.source.as_deref().unwrap_or_default();
            let mut words = vec![format!("{} {source}", it.fstype)];
            words.extend(it.parameters.iter().map(ToString::to_string));
            words.extend(it.copy_up.then(|| "copy-up".to_owned()));
            words.join(" ")
        }
        MountKind::Bind(it) => {
            assert!(it.link == SourceLink::Follow && !it.over_link && it.id_map.is_none());
            let bind = if it.recursive { "rbind" } else { "bind" };
            match &it.source {
                BindSource::Host(path) => format!("{bind} {}", path.display()),
                BindSource::Container(path) => format!("{bind} of the root {}", path.display()),
            }
        }
        MountKind::Cgroup { mount: CgroupMount::Unified, .. } => "cgroup2".to_owned(),
        other => format!("{other:?}"),
    };
    let it = &step.attributes;
    let sets =
        [("", &it.set), ("-", &it.clear), ("r+", &it.recursive_set), ("r-", &it.recursive_clear)];
    let flags = sets.iter().flat_map(|(sign, flags)| named(sign, **flags));
    let words: Vec<_> = flags.chain(it.propagation.iter().map(propagation)).collect();
    format!("{}: {what} [{}]", step.path.display(), words.join(" "))
}

fn named(sign: &str, flags: MountFlags) -> impl Iterator<Item = String> {
    flags.iter_names().map(move |(name, _)| format!("{sign}{}", name.to_lowercase()))
}

fn propagation(it: &Propagation) -> String {
    format!("{}{:?}", if it.recursive { "r" } else { "" }, it.kind).to_lowercase()
}
