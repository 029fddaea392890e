//! `cargo xtask graph`: which crate may depend on which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::{self, ExitCode};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{Command, workspace};

pub const COMMAND: Command = Command {
    name: "graph",
    about: "Checks that the crates depend on each other only as the design says.",
    help: "
usage: cargo xtask graph

- A facility crate (caps, cgroup, lsm, mount, net, ns, process, rdt, seccomp) depends on no crate of
  the workspace but sys, and sys on none.
- The facility crates and init reach neither spec nor serde_json.
- No crate reaches one for development (`package.metadata.coracle.dev`), but those themselves.

Optional dependencies count, dev-dependencies do not.
",
    run,
};

const SYS: &str = "coracle-sys";
const INIT: &str = "coracle-init";
const FACILITIES: [&str; 9] = [
    "coracle-caps",
    "coracle-cgroup",
    "coracle-lsm",
    "coracle-mount",
    "coracle-net",
    "coracle-ns",
    "coracle-process",
    "coracle-rdt",
    "coracle-seccomp",
];
/// What knows, or parses, the documents of the OCI.
const DOCUMENTS: [&str; 2] = ["coracle-spec", "serde_json"];

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    if let Some(arg) = args.next()? {
        return Err(arg.unexpected().into());
    }
    let complaints = Graph::of_workspace()?.check()?;
    for complaint in &complaints {
        println!("{complaint}");
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The packages that a build of the workspace can hold, by name.
#[derive(Default)]
struct Graph {
    dependencies: BTreeMap<String, BTreeSet<String>>,
    members: BTreeSet<String>,
    dev: BTreeSet<String>,
}

impl Graph {
    fn of_workspace() -> anyhow::Result<Self> {
        let output = process::Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--all-features"])
            .current_dir(workspace::root())
            .output()
            .context("cannot run cargo metadata")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        let metadata = serde_json::from_slice(&output.stdout)?;
        Self::parse(&metadata).context("cargo metadata has an unknown form")
    }

    fn parse(metadata: &Value) -> Option<Self> {
        let mut graph = Self::default();
        let members = metadata["workspace_members"].as_array()?;
        let mut names = BTreeMap::new();
        for package in metadata["packages"].as_array()? {
            let name = package["name"].as_str()?;
            names.insert(package["id"].as_str()?, name);
            if members.contains(&package["id"]) {
                graph.members.insert(name.to_owned());
            }
            if package["metadata"]["coracle"]["dev"] == true {
                graph.dev.insert(name.to_owned());
            }
        }
        for node in metadata["resolve"]["nodes"].as_array()? {
            let name = names.get(node["id"].as_str()?)?;
            let entry = graph.dependencies.entry((*name).to_owned()).or_default();
            for dependency in node["deps"].as_array()? {
                let kinds = dependency["dep_kinds"].as_array()?;
                if kinds.iter().any(|kind| kind["kind"] != "dev") {
                    entry.insert((*names.get(dependency["pkg"].as_str()?)?).to_owned());
                }
            }
        }
        Some(graph)
    }

    /// A sentence for each broken rule.
    fn check(&self) -> anyhow::Result<Vec<String>> {
        let mut complaints = Vec::new();
        for name in FACILITIES.into_iter().chain([SYS]) {
            let dependencies = self.dependencies.get(name);
            let dependencies = dependencies.with_context(|| format!("there is no crate {name}"))?;
            for other in dependencies.intersection(&self.members).filter(|other| *other != SYS) {
                complaints.push(format!("{name} must not depend on {other}"));
            }
        }
        for name in FACILITIES.into_iter().chain([INIT]) {
            complaints.extend(DOCUMENTS.into_iter().filter_map(|other| self.complain(name, other)));
        }
        for name in self.members.difference(&self.dev) {
            complaints.extend(self.dev.iter().filter_map(|other| self.complain(name, other)));
        }
        Ok(complaints)
    }

    fn complain(&self, from: &str, to: &str) -> Option<String> {
        let path = self.path(from, to)?;
        Some(format!("{from} must not reach {to}: {}", path.join(" → ")))
    }

    /// A shortest chain of dependencies.
    fn path<'a>(&'a self, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
        let mut paths = VecDeque::from([vec![from]]);
        let mut seen = BTreeSet::from([from]);
        while let Some(path) = paths.pop_front() {
            let last = path.last()?;
            if *last == to {
                return Some(path);
            }
            for next in self.dependencies.get(*last).into_iter().flatten() {
                if seen.insert(next) {
                    paths.push_back([path.as_slice(), &[next.as_str()]].concat());
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fewest edges that the rules want to see, and `edges`.
    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for name in FACILITIES.into_iter().chain([SYS, INIT, "coracle", "coracle-testkit"]) {
            graph.dependencies.insert(name.to_owned(), BTreeSet::new());
            graph.members.insert(name.to_owned());
        }
        graph.dev.insert("coracle-testkit".to_owned());
        for (from, to) in edges {
            graph.dependencies.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    }

    fn complaints(edges: &[(&str, &str)]) -> Vec<String> {
        graph(edges).check().unwrap()
    }

    #[test]
    fn allows_the_design() {
        let none: [String; 0] = [];
        let edges = [("coracle-ns", SYS), (INIT, "coracle-ns"), ("coracle", "serde_json")];
        assert_eq!(complaints(&edges), none);
    }

    #[test]
    fn separates_the_facilities() {
        let edges = [("coracle-ns", "coracle-mount"), (SYS, "coracle-caps")];
        let expected = [
            "coracle-ns must not depend on coracle-mount",
            "coracle-sys must not depend on coracle-caps",
        ];
        assert_eq!(complaints(&edges), expected);
    }

    #[test]
    fn shows_the_way_to_a_forbidden_package() {
        let edges = [(INIT, "a"), ("a", "b"), ("b", "serde_json"), ("b", "a")];
        let expected =
            ["coracle-init must not reach serde_json: coracle-init → a → b → serde_json"];
        assert_eq!(complaints(&edges), expected);
        let edges = [("coracle", "coracle-testkit")];
        let expected =
            ["coracle must not reach coracle-testkit: coracle → coracle-testkit".to_owned()];
        assert_eq!(complaints(&edges), expected);
    }

    #[test]
    fn skips_dev_dependencies() {
        let metadata = serde_json::json!({
            "workspace_members": ["a 1"],
            "packages": [{"id": "a 1", "name": "a"}, {"id": "b 1", "name": "b"}],
            "resolve": {"nodes": [{"id": "a 1", "deps": [
                {"pkg": "b 1", "dep_kinds": [{"kind": "dev"}]},
                {"pkg": "a 1", "dep_kinds": [{"kind": "dev"}, {"kind": null}]},
            ]}]},
        });
        let graph = Graph::parse(&metadata).unwrap();
        assert_eq!(graph.dependencies["a"], BTreeSet::from(["a".to_owned()]));
    }
}
