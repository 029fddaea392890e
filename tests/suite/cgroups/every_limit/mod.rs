//! Every field of `/linux/resources`, read back from the kernel's files.

mod case;
mod disks;
mod table;

use std::collections::BTreeMap;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Cmd, Context, Result, Test, Verdict, check_eq, need, tests};

use crate::systemd::need_systemd;
use case::{Case, Place};
use disks::Disks;
use table::ROWS;

pub const TESTS: &[Test] = tests![are_set_by_create, are_changed_by_update];
pub const SYSTEMD: &[Test] = tests![are_set_through_systemd, are_changed_through_systemd];

/// What `create` or `update` makes of some fields, on each version of cgroups.
///
/// Where the host lacks the controller, or the kernel the file, they are refused instead.
pub struct Row {
    /// The fields in `/linux/resources`.
    resources: &'static str,
    v1: Outcome,
    v2: Outcome,
}

/// Files and what is in them: all, or one of their lines.
type Files = &'static [(&'static str, &'static str)];

#[derive(Clone, Copy)]
pub enum Outcome {
    /// All hold.
    Has(Files),
    /// One holds.
    OneOf(Files),
    /// As `Has`, but a kernel without the first file is worth a warning only.
    HasOrWarns(Files),
    /// The fields have no effect, and a warning says so.
    Warns(&'static str),
    /// They are refused with these words.
    Refused(&'static [&'static str]),
}

type Runtime = fn(&Context) -> Cmd;

fn with_systemd(t: &Context) -> Cmd {
    t.command().arg("--systemd-cgroup")
}

fn are_set_by_create(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have other messages");
    set_by_create(t, Context::command, &Disks::prepare()?)
}

fn are_set_through_systemd(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    set_by_create(t, with_systemd, &Disks::without_weights()?)
}

fn are_changed_by_update(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have other messages");
    let disks = Disks::prepare()?;
    let bundle = t.bundle()?.args(&["sleep", "1000"]);
    let container = t.start(&bundle)?;
    change_by_update(t, Context::command, container.id(), &disks)?;
    container.delete_forcibly()?;
    Ok(Passed)
}

/// systemd writes its own idea of limits again when it is reloaded, and must have been told.
fn are_changed_through_systemd(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    let bundle = t.bundle()?.args(&["sleep", "1000"]);
    let container = t.create_by(with_systemd(t), &bundle, &[])?;
    let files = change_by_update(t, with_systemd, container.id(), &Disks::without_weights()?)?;
    Cmd::new("systemctl").arg("daemon-reload").succeed()?;
    let place = Place::of(t, container.id())?;
    for (file, content) in files {
        check_eq!((&file, place.read(t, &file)?), (&file, content));
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn set_by_create(t: &Context, runtime: Runtime, disks: &Disks) -> Result<Verdict> {
    let plain = t.create_by(runtime(t), &t.bundle()?, &[])?;
    let place = Place::of(t, plain.id())?;
    for row in ROWS {
        let Some(case) = Case::new(t, row, disks, &place)? else { continue };
        let mut bundle = t.bundle()?;
        for (name, value) in case.fields() {
            bundle = bundle.set(&format!("/linux/resources/{name}"), value.clone());
        }
        bundle.write()?;
        let id = t.id();
        let create = runtime(t).arg("create").arg("--bundle").arg(bundle.directory());
        let output = create.arg(&id).run()?;
        case.check(t, &output, &id)?;
        runtime(t).args(["delete", "--force", &id]).succeed()?;
    }
    plain.delete_forcibly()?;
    Ok(Passed)
}

/// Applies all rows to a container; what is in all their files at the end.
fn change_by_update(
    t: &Context,
    runtime: Runtime,
    id: &str,
    disks: &Disks,
) -> Result<BTreeMap<String, String>> {
    let place = Place::of(t, id)?;
    let mut files = BTreeMap::new();
    for row in ROWS {
        let Some(case) = Case::new(t, row, disks, &place)? else { continue };
        let update = runtime(t).args(["update", "--resources", "-", id]);
        let output = update.input(&case.resources.to_string())?.run()?;
        for file in case.check(t, &output, id)? {
            let content = place.read(t, &file)?;
            files.insert(file, content);
        }
    }
    Ok(files)
}
