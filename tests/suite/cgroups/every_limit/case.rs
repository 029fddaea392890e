//! One row of the table on this host.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use coracle_testkit::{CgroupLayout, Context, Output, Result, check};
use serde_json::{Map, Value};

use super::Outcome::{self, Has, HasOrWarns, OneOf, Refused, Warns};
use super::{Disks, Row};

/// What a limit that cannot be set is to end in.
const REMEDY: &str = "leave it out";

/// A container's place in the hierarchies, by one of its processes.
pub struct Place(i32);

impl Place {
    pub fn of(t: &Context, id: &str) -> Result<Self> {
        let state = t.command().args(["state", id]).succeed()?.json()?;
        let pid = state["pid"].as_i64().context("a state without pid")?;
        Ok(Self(i32::try_from(pid)?))
    }

    fn path(&self, t: &Context, file: &str) -> Result<PathBuf> {
        let controller = file.split('.').next().unwrap_or_default();
        Ok(t.host().cgroup_of(self.0, controller)?.join(file))
    }

    pub fn read(&self, t: &Context, file: &str) -> Result<String> {
        let path = self.path(t, file)?;
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
        Ok(text.trim().to_owned())
    }

    /// Whether this content is all of a file, or one of its lines.
    fn has(&self, t: &Context, file: &str, content: &str) -> Result<bool> {
        let text = self.read(t, file)?;
        Ok(text == content || text.lines().any(|line| line == content))
    }

    fn has_file(&self, t: &Context, file: &str) -> Result<bool> {
        let controller = file.split('.').next().unwrap_or_default();
        // Beside v1, the controllers of v2 come with the first limit.
        let comes = t.host().layout == CgroupLayout::Hybrid && !t.host().is_v1(controller);
        Ok(comes || self.path(t, file)?.exists())
    }
}

/// A row with its names filled in, and what comes of it here.
pub struct Case<'a> {
    pub resources: Value,
    disks: &'a Disks,
    expected: Expected,
}

enum Expected {
    Outcome(Outcome),
    /// It is refused with these words.
    Lacks(Vec<String>),
}

impl<'a> Case<'a> {
    /// Nothing if this host has not what the row is about. `place` has everything that the kernel offers.
    pub fn new(t: &Context, row: &Row, disks: &'a Disks, place: &Place) -> Result<Option<Self>> {
        if row.resources.contains("@BFQ") && disks.bfq.is_none() {
            return Ok(None);
        }
        let resources: Value = serde_json::from_str(&disks.fill(row.resources))?;
        let expected = expected(t, row, &resources, place)?;
        Ok(Some(Self { resources, disks, expected }))
    }

    pub fn fields(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.resources.as_object().into_iter().flat_map(Map::iter)
    }

    /// Looks what came of it; returns the files that it is about.
    pub fn check(&self, t: &Context, output: &Output, id: &str) -> Result<Vec<String>> {
        let checked = self.look(t, output, id);
        checked.with_context(|| format!("{}: {output}", self.resources))
    }

    fn look(&self, t: &Context, output: &Output, id: &str) -> Result<Vec<String>> {
        let says = |words: &[String], code| {
            check!(output.code() == code, "it ended with {}", output.code());
            for word in words {
                check!(output.stderr.contains(word), "no {word:?}");
            }
            Ok(Vec::new())
        };
        let outcome = match &self.expected {
            Expected::Lacks(words) => return says(words, 1),
            Expected::Outcome(Refused(words)) => {
                return says(
                    &words.iter().map(|word| self.disks.fill(word)).collect::<Vec<_>>(),
                    1,
                );
            }
            Expected::Outcome(Warns(word)) => return says(&[(*word).to_owned()], 0),
            Expected::Outcome(outcome) => outcome,
        };
        let (Has(files) | OneOf(files) | HasOrWarns(files)) = outcome else {
            return Ok(Vec::new());
        };
        check!(output.code() == 0 && output.stderr.is_empty(), "it did not just work");
        let place = Place::of(t, id)?;
        let mut holding = Vec::new();
        for (file, content) in *files {
            let content = self.disks.fill(content);
            let there = !matches!(outcome, OneOf(_)) || place.has_file(t, file)?;
            if there && place.has(t, file, &content)? {
                holding.push((*file).to_owned());
            } else if !matches!(outcome, OneOf(_)) {
                check!(false, "{file}: {:?} is not {content:?}", place.read(t, file)?);
            }
        }
        check!(!holding.is_empty() || files.is_empty(), "none of {files:?} holds");
        Ok(holding)
    }
}

fn expected(t: &Context, row: &Row, resources: &Value, place: &Place) -> Result<Expected> {
    let [v1, v2] = controllers(resources);
    let host = t.host();
    let unified = host.layout == CgroupLayout::Unified;
    let has_v1 = if v1 == "unified" { !unified } else { host.is_v1(v1) };
    let outcome = if has_v1 { row.v1 } else { row.v2 };
    let has_v2 = match v1 {
        "unified" => true,
        // No v2 has the marks of packets, and a warning says so.
        "net_cls" | "net_prio" => unified,
        _ => host.has_controller(v2),
    };
    if !has_v1 && !has_v2 {
        return Ok(Expected::Lacks(vec![format!("controller {v1}"), REMEDY.into()]));
    }
    let weights = "blkio.bfq.weight_device";
    if has_v1 && row.resources.contains("weightDevice") && !place.has_file(t, weights)? {
        return Ok(Expected::Lacks(vec![weights.into(), REMEDY.into()]));
    }
    let files = match outcome {
        Has(files) => files,
        OneOf(files) => return one_of(t, outcome, files, place),
        HasOrWarns([(file, _), ..]) if !place.has_file(t, file)? => {
            return Ok(Expected::Outcome(Warns(file)));
        }
        outcome => return Ok(Expected::Outcome(outcome)),
    };
    for (file, _) in files {
        if !place.has_file(t, file)? {
            return Ok(Expected::Lacks(vec![(*file).to_owned(), REMEDY.into()]));
        }
    }
    if v1 == "rdma" && Disks::adapter().is_none() {
        return Ok(Expected::Lacks(vec!["rdma.max".into(), "no such RDMA device".into()]));
    }
    Ok(Expected::Outcome(outcome))
}

/// The last of the files is what is asked for where the kernel has none of them.
fn one_of(t: &Context, outcome: Outcome, files: super::Files, place: &Place) -> Result<Expected> {
    for (file, _) in files {
        if place.has_file(t, file)? {
            return Ok(Expected::Outcome(outcome));
        }
    }
    let last = files.last().map(|(file, _)| (*file).to_owned());
    Ok(Expected::Lacks(last.into_iter().chain([REMEDY.into()]).collect()))
}

/// What the kernel calls the controller of these fields.
fn controllers(resources: &Value) -> [&str; 2] {
    let Some((name, fields)) = resources.as_object().and_then(|fields| fields.iter().next()) else {
        return ["", ""];
    };
    match name.as_str() {
        "blockIO" => ["blkio", "io"],
        "hugepageLimits" => ["hugetlb"; 2],
        "network" if fields["classID"].is_null() => ["net_prio"; 2],
        "network" => ["net_cls"; 2],
        "cpu" if !fields["cpus"].is_null() => ["cpuset"; 2],
        name => [name; 2],
    }
}
