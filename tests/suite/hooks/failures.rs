//! Hooks that fail, hang, or leave something behind.

use std::env;
use std::fs;
use std::time::Instant;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Output, Result, Test, Verdict, check, check_eq, need, scaled, tests,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{CREATING, INSIDE, KINDS, Maker, Notes, shell, with_all};

pub const TESTS_FOR_ALL: &[Test] = tests![stop_a_creation, stop_a_start];

pub const TESTS: &[Test] = tests![
    stop_a_run,
    say_what_killed_them,
    need_a_program,
    are_killed_in_time,
    are_killed_in_time_when_a_container_starts,
    have_all_the_time_if_none_is_given,
    may_leave_processes_behind,
    of_poststop_are_warnings,
    of_poststop_are_warnings_when_the_creation_fails,
    may_print_much,
    are_checked_beforehand,
];

/// Prints to both streams and fails.
const FAIL: &str = "echo broken because; echo of this >&2; exit 7";

/// One hook that succeeds, one that fails and one that must not run, of this kind; and others after it.
fn failing(bundle: Bundle, notes: &Notes, kind: &str, hook: Value) -> Bundle {
    let list = format!("/hooks/{kind}");
    let bundle = bundle.push(&list, shell(&notes.add(kind))).push(&list, hook);
    let bundle = bundle.push(&list, shell(&notes.add("never")));
    bundle.push("/hooks/poststop", shell(&notes.add("stopped"))).script(&notes.add("program"))
}

/// Does the message say which hook it was, and how it failed?
fn names_the_hook(output: Output, kind: &str) -> Result<()> {
    let pointer = format!("/hooks/{kind}/1");
    output.refused(&[&pointer, "/bin/sh", "7", "broken because", "of this"]).map(drop)
}

fn stop_a_creation(t: &mut Context) -> Result<Verdict> {
    for maker in Maker::all(t) {
        for kind in CREATING {
            let (notes, bundle) = Notes::new(t, maker.bundle(t)?)?;
            let bundle = failing(bundle, &notes, kind, shell(FAIL));
            bundle.write()?;
            let id = t.id();
            let command = match maker {
                Maker::Root => t.command(),
                Maker::User => t.as_user(t.command()),
            };
            let create = command.arg("create").arg("--bundle").arg(bundle.directory()).arg(&id);
            names_the_hook(create.run()?, kind)?;
            check_eq!((kind, notes.list()), (kind, vec![kind.to_owned(), "stopped".to_owned()]));
            t.command().args(["state", &id]).run()?.refused(&["does not exist"])?;
            check_eq!(fs::read_dir(t.store())?.count(), 0);
        }
    }
    Ok(Passed)
}

/// As the specification has it, the container is destroyed. What stays, if anything, has stopped.
fn stop_a_start(t: &mut Context) -> Result<Verdict> {
    for maker in Maker::all(t) {
        for kind in ["startContainer", "poststart"] {
            let (notes, bundle) = Notes::new(t, maker.bundle(t)?)?;
            let bundle = failing(bundle, &notes, kind, shell(FAIL));
            let bundle = bundle.script(&format!("{}; exec sleep 1000", notes.add("program")));
            let container = maker.create(t, &bundle)?;
            names_the_hook(container.command("start", &[]).run()?, kind)?;
            let state = container.command("state", &[]).run()?;
            check!(state.code() != 0 || state.stdout.contains("\"stopped\""), "{state}");
            container.delete_forcibly()?;
            let list: Vec<_> = notes.list().into_iter().filter(|line| line != "program").collect();
            check_eq!((kind, list), (kind, vec![kind.to_owned(), "stopped".to_owned()]));
            check!(kind == "poststart" || notes.list().len() == 2, "the program was executed");
        }
    }
    Ok(Passed)
}

fn stop_a_run(t: &mut Context) -> Result<Verdict> {
    for flags in [&[][..], &["--detach"]] {
        for kind in &KINDS[..5] {
            let (notes, bundle) = Notes::new(t, t.bundle()?)?;
            let bundle = failing(bundle, &notes, kind, shell(FAIL));
            let bundle = bundle.script(&format!("{}; exec sleep 1000", notes.add("program")));
            let (command, id) = t.run_as(&bundle, flags)?;
            names_the_hook(command.run()?, kind)?;
            t.command().args(["state", &id]).run()?.refused(&["does not exist"])?;
            let list: Vec<_> = notes.list().into_iter().filter(|line| line != "program").collect();
            check_eq!((kind, list), (kind, vec![(*kind).to_owned(), "stopped".to_owned()]));
        }
    }
    Ok(Passed)
}

fn say_what_killed_them(t: &mut Context) -> Result<Verdict> {
    for kind in &KINDS[..5] {
        let bundle = t.bundle()?.push(&format!("/hooks/{kind}"), shell("echo gasp; kill -9 $$"));
        let words = [&format!("/hooks/{kind}/0"), "signal", "9", "gasp"];
        t.run(&bundle.args(&["sleep", "1000"]))?.refused(&words)?;
    }
    Ok(Passed)
}

fn need_a_program(t: &mut Context) -> Result<Verdict> {
    let plain = t.path("plain");
    fs::write(&plain, "no program\n")?;
    let plain = plain.to_string_lossy();
    for kind in &KINDS[..5] {
        for path in ["/no/such/hook", &plain, "/"] {
            let bundle = t.bundle()?.push(&format!("/hooks/{kind}"), json!({"path": path}));
            let output = t.run(&bundle.script("sleep 1000"))?;
            output.refused(&[&format!("/hooks/{kind}/0"), path])?;
        }
    }
    Ok(Passed)
}

/// A hook of this kind that would take long, with what it has started, but has a second only.
fn slow(bundle: Bundle, kind: &str) -> Bundle {
    let mut hook = shell("echo begun; sleep 1000 & sleep 1000; echo never");
    hook["timeout"] = json!(1);
    bundle.push(&format!("/hooks/{kind}"), hook)
}

fn was_killed_in_time(output: &Output, kind: &str, begun: Instant) -> Result<()> {
    check!(begun.elapsed() < scaled(8), "it took {:?}", begun.elapsed());
    check_eq!((kind, output.code()), (kind, i32::from(kind != "poststop")));
    if env::var_os("CORACLE_TEST_RUNTIME").is_none() {
        output.says(&[&format!("/hooks/{kind}/0"), "/bin/sh", "1 s", "begun"])?;
    }
    Ok(())
}

/// The audit sees what they have started.
fn are_killed_in_time(t: &mut Context) -> Result<Verdict> {
    for kind in KINDS {
        let bundle = slow(t.bundle()?, kind);
        let program: &[&str] = if kind == "poststop" { &["true"] } else { &["sleep", "1000"] };
        let begun = Instant::now();
        was_killed_in_time(&t.run(&bundle.args(program))?, kind, begun)?;
    }
    Ok(Passed)
}

fn are_killed_in_time_when_a_container_starts(t: &mut Context) -> Result<Verdict> {
    for kind in ["startContainer", "poststart"] {
        let container = t.create(&slow(t.bundle()?, kind).args(&["sleep", "1000"]))?;
        let begun = Instant::now();
        was_killed_in_time(&container.command("start", &[]).run()?, kind, begun)?;
        let state = container.command("state", &[]).run()?;
        check!(state.code() != 0 || state.stdout.contains("\"stopped\""), "{state}");
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

/// Those that have some are not hurried either.
fn have_all_the_time_if_none_is_given(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = with_all(bundle, |kind| format!("sleep 0.3; {}", notes.add(kind)));
    let bundle = KINDS.iter().fold(bundle, |bundle, kind| {
        let mut hook = shell(&format!("sleep 0.3; {}", notes.add("patient")));
        hook["timeout"] = json!(3600);
        bundle.push(&format!("/hooks/{kind}"), hook)
    });
    t.run(&bundle)?.expect(0)?;
    check_eq!(notes.list().len(), 2 * KINDS.len());
    Ok(Passed)
}

/// Which have its streams open, and all the time in the world.
fn may_leave_processes_behind(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = with_all(bundle, |kind| format!("sleep 1000 & echo $! > {}", notes.path(kind)));
    let begun = Instant::now();
    t.run(&bundle)?.expect(0)?;
    check!(begun.elapsed() < scaled(10), "it took {:?}", begun.elapsed());
    for kind in KINDS.iter().filter(|kind| !INSIDE.contains(kind)) {
        // Those of the host are nobody's business any more, the others have ended with the container.
        let pid = Pid::from_raw(notes.text(kind).trim().parse()?);
        kill_process(pid.unwrap_or(Pid::INIT), Signal::KILL)?;
    }
    Ok(Passed)
}

fn of_poststop_are_warnings(t: &mut Context) -> Result<Verdict> {
    for flags in [&[][..], &["--force"]] {
        let (notes, bundle) = Notes::new(t, t.bundle()?)?;
        let bundle = bundle.push("/hooks/poststop", shell(&notes.add("before")));
        let bundle = bundle.push("/hooks/poststop", shell(FAIL));
        let bundle = bundle.push("/hooks/poststop", json!({"path": "/no/such/hook"}));
        let bundle = bundle.push("/hooks/poststop", shell(&notes.add("after")));
        let container = t.start(&bundle)?;
        container.wait_until_stopped()?;
        let output = container.command("delete", flags).succeed()?;
        if t.is_coracle() {
            output.says(&["warning", "/hooks/poststop/1", "/bin/sh", "7", "broken because"])?;
            output.says(&["/hooks/poststop/2", "/no/such/hook"])?;
        }
        check_eq!(notes.list(), ["before", "after"]);
        container.command("state", &[]).run()?.refused(&["does not exist"])?;
    }
    Ok(Passed)
}

/// The reason of the failure is not lost among them.
fn of_poststop_are_warnings_when_the_creation_fails(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not run them then");
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = bundle.push("/hooks/poststop", shell(FAIL));
    let bundle = bundle.push("/hooks/poststop", shell(&notes.add("stopped")));
    let output = t.run(&bundle.push("/hooks/prestart", shell("echo first; exit 3")))?;
    let output = output.refused(&["/hooks/prestart/0", "first"])?;
    check_eq!(notes.list(), ["stopped"]);
    output.says(&["warning", "/hooks/poststop/0", "broken because"])?;
    Ok(Passed)
}

fn may_print_much(t: &mut Context) -> Result<Verdict> {
    let much = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; \
                i=$((i + 1)); done";
    t.run(&with_all(t.bundle()?, |_| much.to_owned()))?.expect(0)?;
    let script = format!("{much}; echo the reason; exit 7");
    let output = t.run(&t.bundle()?.push("/hooks/createRuntime", shell(&script)))?.expect(1)?;
    check!(output.stderr.contains("the reason"), "{output}");
    check!(!t.is_coracle() || output.stderr.len() < 10_000, "{} bytes", output.stderr.len());
    Ok(Passed)
}

fn are_checked_beforehand(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers find out later, if at all");
    for kind in KINDS {
        let wrong = [
            (json!({"path": "relative/path"}), "path"),
            (json!({"path": ""}), "path"),
            (json!({"args": ["sh"]}), "path"),
            (json!({"path": "/bin/sh", "timeout": 0}), "timeout"),
            (json!({"path": "/bin/sh", "timeout": -1}), "timeout"),
            (json!({"path": "/bin/sh", "timeout": "1"}), "timeout"),
            (json!({"path": "/bin/sh", "args": "sh"}), "args"),
            (json!({"path": "/bin/sh", "args": ["a\0b"]}), "args"),
            (json!({"path": "/bin/sh", "env": ["no variable"]}), "env"),
            (json!({"path": "/bin/s\0h"}), "path"),
        ];
        for (hook, field) in wrong {
            let bundle = t.bundle()?.push(&format!("/hooks/{kind}"), hook.clone());
            let output = t.run(&bundle)?;
            check!(output.code() == 1, "{kind}: {hook}: {output}");
            output.says(&[&format!("/hooks/{kind}/0"), field])?;
        }
    }
    Ok(Passed)
}
