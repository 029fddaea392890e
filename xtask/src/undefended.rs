//! `cargo xtask undefended`: every attack succeeds where its defence is missing, and every test of confinement
//! fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use anyhow::{Context, bail, ensure};
use lexopt::{Arg, ValueExt};

use crate::{Command, build, host, packages, setup, test, workspace};

pub const COMMAND: Command = Command {
    name: "undefended",
    about: "Takes each defence away and demands that the attacks on it succeed.",
    help: "
usage: cargo xtask undefended [NAME]...

For each patch in tests/attacks/undefended, or for those named: applies it to a copy of the sources, builds the
command and runs the tests that the patch's first line lists, attacks or tests of the suite, which must all fail.
Needs root and minutes.
",
    run,
};

const PATCHES: &str = "tests/attacks/undefended";
/// Where the attacks are, and what the suite tests of confinement.
const ATTACKS: &str = "tests/attacks";
const SUITE: &str = "tests/suite";
/// What a patch begins with, before the names of the tests that must fail.
const HEADER: &str = "Fails: ";
/// A race that nobody defends against is won long before.
const ROUNDS: &str = "3000";

struct Patch {
    name: String,
    path: PathBuf,
    tests: Vec<String>,
}

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let mut names = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Value(name) => names.push(name.string()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    let mut patches = patches()?;
    if let Some(name) = names.iter().find(|name| !patches.iter().any(|it| it.name == **name)) {
        bail!("there is no patch {name}");
    }
    patches.retain(|patch| names.is_empty() || names.contains(&patch.name));
    setup::add_rust_target()?;
    packages::ensure(packages::TESTS)?;
    let attacks = test::attacks()?;
    let suite = test::suite()?.into_iter().next().context("the suite was not built")?;
    let mut held = Vec::new();
    for patch in &patches {
        eprintln!("xtask: without {}", patch.name);
        let coracle = build_without(patch)?;
        for test in &patch.tests {
            let program = if source(ATTACKS, test).exists() { &attacks } else { &suite };
            let fails = fails(program, &coracle, test)?;
            println!("{}: {test}: {}", patch.name, if fails { "fails" } else { "STILL PASSES" });
            held.extend((!fails).then_some(test));
        }
    }
    println!("\n{} patches, {} tests that do not fail without them", patches.len(), held.len());
    Ok(if held.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Does every patch apply to the sources as they are, and name tests that are there?
pub fn check() -> anyhow::Result<()> {
    eprintln!("xtask: the patches of tests/attacks/undefended apply");
    for patch in patches()? {
        let mut git = process::Command::new("git");
        git.args(["apply", "--check"]).arg(&patch.path).current_dir(workspace::root());
        host::run(&mut git).with_context(|| format!("{} is out of date", patch.name))?;
        for test in &patch.tests {
            let (_, name) = test.rsplit_once("::").context("GROUP::TEST")?;
            let known = fs::read_to_string(source(ATTACKS, test))
                .or_else(|_| fs::read_to_string(source(SUITE, test)))
                .is_ok_and(|text| text.contains(name));
            ensure!(known, "{} names {test}, which is not there", patch.name);
        }
    }
    Ok(())
}

fn patches() -> anyhow::Result<Vec<Patch>> {
    let mut patches = Vec::new();
    for entry in fs::read_dir(workspace::root().join(PATCHES))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let header = text.lines().next().and_then(|line| line.strip_prefix(HEADER));
        let header = header.with_context(|| format!("{} lists no tests", path.display()))?;
        let tests = header.split_whitespace().map(str::to_owned).collect();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        patches.push(Patch { name, path, tests });
    }
    patches.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(patches)
}

/// The file in which a test is, if it is one of these.
fn source(tests: &str, test: &str) -> PathBuf {
    let group = test.rsplit_once("::").map_or(test, |(group, _)| group);
    workspace::root().join(format!("{tests}/{}.rs", group.replace("::", "/")))
}

/// Builds the command from a copy of the sources with the patch applied; returns a copy of it.
fn build_without(patch: &Patch) -> anyhow::Result<PathBuf> {
    let target = build::target_directory()?.join("undefended");
    let sources = target.join("sources");
    copy_sources(&sources)?;
    let mut git = process::Command::new("git");
    // Not to the repository around it.
    git.arg("apply").arg(&patch.path).env("GIT_CEILING_DIRECTORIES", &target);
    host::run(git.current_dir(&sources))?;
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut cargo = process::Command::new("cargo");
    cargo.args(["build", "--quiet", "--package", "coracle-cli", "--target", &triple]);
    cargo.env("CARGO_TARGET_DIR", &target).env_remove("CARGO_MANIFEST_DIR").current_dir(&sources);
    host::run(&mut cargo).with_context(|| format!("{} does not build", patch.name))?;
    let built = target.join(triple).join("debug/coracle");
    let kept = target.join(&patch.name);
    fs::create_dir_all(&kept)?;
    fs::copy(&built, kept.join("coracle"))?;
    Ok(kept.join("coracle"))
}

/// Copies what Git knows, where it differs from what is there: what is unchanged is not built again.
fn copy_sources(to: &Path) -> anyhow::Result<()> {
    let mut git = process::Command::new("git");
    let files = host::stdout(git.args(["ls-files", "-z"]).current_dir(workspace::root()))?;
    for file in files.split_terminator('\0') {
        let (from, to) = (workspace::root().join(file), to.join(file));
        if !from.is_file() {
            continue;
        }
        let text = fs::read(&from)?;
        if fs::read(&to).is_ok_and(|found| found == text) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file in a directory")?)?;
        fs::write(&to, text)?;
    }
    Ok(())
}

fn fails(program: &Path, coracle: &Path, test: &str) -> anyhow::Result<bool> {
    let mut command = process::Command::new(program);
    command.args(["--exact", test]).env("CORACLE_BIN", coracle).env("CORACLE_TEST_ROUNDS", ROUNDS);
    let output = command.current_dir(workspace::root()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(text.contains("running 1 test"), "there is no test {test}:\n{text}");
    Ok(text.contains("1 failed"))
}
