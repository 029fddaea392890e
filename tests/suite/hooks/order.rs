//! When hooks run.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, eventually, tests};

use super::{CREATING, KINDS, Maker, Notes, shell, with_all};

pub const TESTS_FOR_ALL: &[Test] =
    tests![all_run_in_order_with_create_and_start, all_run_in_order_with_run,];

pub const TESTS: &[Test] = tests![
    poststart_comes_after_the_execution,
    start_container_comes_before_the_execution,
    poststop_comes_after_a_forced_deletion,
    poststop_comes_when_what_is_kept_is_deleted,
    poststop_comes_if_the_container_never_started,
    poststop_comes_for_detached_containers,
    poststop_finds_nothing_left,
    all_are_those_of_the_creation,
    all_run_once_for_many_starts,
];

/// Two hooks of each kind that say which they are.
fn all_twice(bundle: coracle_testkit::Bundle, notes: &Notes) -> coracle_testkit::Bundle {
    ["first", "second"].iter().fold(bundle, |bundle, which| {
        with_all(bundle, |kind| notes.add(&format!("{kind} {which}")))
    })
}

fn twice(kinds: &[&str]) -> Vec<String> {
    let both = |kind: &&str| ["first", "second"].map(|which| format!("{kind} {which}"));
    kinds.iter().flat_map(both).collect()
}

fn all_run_in_order_with_create_and_start(t: &mut Context) -> Result<Verdict> {
    for maker in Maker::all(t) {
        let (notes, bundle) = Notes::new(t, maker.bundle(t)?)?;
        let bundle = all_twice(bundle, &notes).args(&["sleep", "1000"]);
        let container = maker.create(t, &bundle)?;
        check_eq!(notes.list(), twice(&CREATING));
        container.start()?;
        check_eq!(notes.list(), twice(&KINDS[..5]));
        container.kill("KILL")?;
        container.wait_until_stopped()?;
        check_eq!(notes.list(), twice(&KINDS[..5]));
        container.delete()?;
        check_eq!(notes.list(), twice(&KINDS));
    }
    Ok(Passed)
}

fn all_run_in_order_with_run(t: &mut Context) -> Result<Verdict> {
    for maker in Maker::all(t) {
        let (notes, bundle) = Notes::new(t, maker.bundle(t)?)?;
        let bundle = all_twice(bundle, &notes).script("echo executed; exit 3");
        let output = maker.run(t, &bundle)?.0.run()?.expect(3)?;
        check_eq!((output.text(), output.stderr.as_str()), ("executed", ""));
        check_eq!(notes.list(), twice(&KINDS));
    }
    Ok(Passed)
}

/// A hook's script that knows the process as `$pid`.
const PID: &str = r#"pid=$(tr , '\n' | sed -n 's/.*"pid" *: *\([0-9]*\).*/\1/p')"#;

/// Not once it is about to be: a hook may want to do something to the program.
fn poststart_comes_after_the_execution(t: &mut Context) -> Result<Verdict> {
    for _ in 0..10 {
        let (notes, bundle) = Notes::new(t, t.bundle()?)?;
        let script =
            format!("{PID}; tr '\\0' ' ' < /proc/$pid/cmdline > {}", notes.path("command"));
        let bundle = bundle.push("/hooks/poststart", shell(&script)).args(&["sleep", "1000"]);
        let container = t.start(&bundle)?;
        check_eq!(notes.text("command"), "sleep 1000 ");
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn start_container_comes_before_the_execution(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let script = format!("sleep 0.3; {}", notes.add("hook"));
    let bundle = bundle.push("/hooks/startContainer", shell(&script));
    let container = t.create(&bundle.script(&notes.add("program")))?;
    check!(notes.list().is_empty());
    container.start()?;
    container.finish()?;
    check_eq!(notes.list(), ["hook", "program"]);
    Ok(Passed)
}

fn poststop_comes_after_a_forced_deletion(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let script = format!("cat > {}; {}", notes.path("state"), notes.add("stopped"));
    let bundle = bundle.push("/hooks/poststop", shell(&script)).idle();
    for namespace in ["pid", "none"] {
        let container = t.start(&bundle.clone().without_namespace(namespace))?;
        container.wait_for("ready")?;
        container.delete_forcibly()?;
        let state: serde_json::Value = serde_json::from_str(&notes.text("state"))?;
        check_eq!((&state["status"], &state["id"]), (&"stopped".into(), &container.id().into()));
        container.delete_forcibly()?;
    }
    check_eq!(notes.list(), ["stopped", "stopped"]);
    Ok(Passed)
}

fn poststop_comes_when_what_is_kept_is_deleted(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = bundle.push("/hooks/poststop", shell(&notes.add("stopped")));
    let (command, id) = t.run_as(&bundle, &["--keep"])?;
    command.succeed()?;
    check!(notes.list().is_empty());
    t.command().args(["delete", &id]).succeed()?;
    check_eq!(notes.list(), ["stopped"]);
    Ok(Passed)
}

fn poststop_comes_if_the_container_never_started(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = with_all(bundle, |kind| notes.add(kind));
    t.create(&bundle)?.delete()?;
    check_eq!(notes.list(), ["prestart", "createRuntime", "createContainer", "poststop"]);
    Ok(Passed)
}

fn poststop_comes_for_detached_containers(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = with_all(bundle, |kind| notes.add(kind)).args(&["sleep", "1000"]);
    let (command, id) = t.run_as(&bundle, &["--detach"])?;
    command.succeed()?;
    check_eq!(notes.list(), KINDS[..5]);
    t.command().args(["delete", "--force", &id]).succeed()?;
    check_eq!(notes.list(), KINDS);
    Ok(Passed)
}

/// Neither processes nor cgroups.
fn poststop_finds_nothing_left(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = bundle.script("sleep 1000 & sleep 1000");
    let marker = notes.path("left");
    let container = t.create(&bundle.clone())?;
    let cgroup = t.host().cgroup_of(container.pid()?, "pids")?;
    container.delete()?;
    let name = cgroup.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The next one has another name, which the hook finds in its state.
    let parent = cgroup.parent().unwrap_or(&cgroup).display().to_string();
    let id = r#"id=$(tr , '\n' | sed -n 's/.*"id" *: *"\([^"]*\)".*/\1/p')"#;
    check_eq!(name, container.id());
    let script = format!("{id}; [ -n \"$id\" ] && ! [ -e {parent}/$id ] && echo gone > {marker}");
    let container = t.start(&bundle.push("/hooks/poststop", shell(&script)))?;
    check!(fs::metadata(cgroup.with_file_name(container.id())).is_ok());
    container.delete_forcibly()?;
    check_eq!(notes.text("left"), "gone\n");
    Ok(Passed)
}

/// What becomes of the configuration later changes nothing.
fn all_are_those_of_the_creation(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = with_all(bundle.idle(), |kind| notes.add(kind));
    let config = bundle.directory().join("config.json");
    let container = t.create(&bundle)?;
    with_all(bundle, |kind| notes.add(&format!("late {kind}"))).write()?;
    container.start()?;
    fs::remove_file(config)?;
    container.delete_forcibly()?;
    check_eq!(notes.list(), KINDS);
    Ok(Passed)
}

fn all_run_once_for_many_starts(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = with_all(bundle.idle(), |kind| format!("sleep 0.1; {}", notes.add(kind)));
    let container = t.create(&bundle)?;
    let start = || container.command("start", &[]).spawn();
    let codes = [start()?, start()?, start()?].map(|it| it.wait().map(|output| output.code()));
    let codes = codes.into_iter().collect::<Result<Vec<_>>>()?;
    check_eq!(codes.iter().filter(|code| **code == 0).count(), 1);
    eventually("the start", || Ok((container.status()? == "running").then_some(())))?;
    let delete = || container.command("delete", &["--force"]).spawn();
    for one in [delete()?, delete()?] {
        one.wait()?.expect(0)?;
    }
    check_eq!(notes.list(), KINDS);
    Ok(Passed)
}
