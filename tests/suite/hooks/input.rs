//! The state that hooks read, their arguments and environment.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, tests};
use serde_json::{Value, json};

use super::{INSIDE, KINDS, Maker, Notes, with_all};

pub const TESTS_FOR_ALL: &[Test] = tests![read_the_state_of_the_container];

pub const TESTS: &[Test] = tests![
    read_a_state_without_annotations,
    need_not_read_it,
    read_all_of_a_long_state,
    get_their_arguments,
    get_their_environment,
    inherit_an_environment_if_none_is_given,
    have_no_other_descriptor,
];

fn status(kind: &str) -> &'static str {
    match kind {
        "startContainer" => "created",
        "poststart" => "running",
        "poststop" => "stopped",
        _ => "creating",
    }
}

/// Is it what the specification's schema for states allows?
fn is_a_state(state: &Value) -> bool {
    let has_texts = ["ociVersion", "id", "status", "bundle"].iter().all(|it| state[it].is_string());
    let pid = state.get("pid");
    let annotations = state.get("annotations");
    has_texts
        && pid.is_none_or(Value::is_u64)
        && annotations
            .is_none_or(|it| it.as_object().is_some_and(|it| it.values().all(Value::is_string)))
}

fn read_the_state_of_the_container(t: &mut Context) -> Result<Verdict> {
    for maker in Maker::all(t) {
        let (notes, bundle) = Notes::new(t, maker.bundle(t)?)?;
        let annotations = json!({"org.example.a": "b \"quoted\"\nnext", "empty": ""});
        let bundle = with_all(bundle, |kind| format!("cat > {}", notes.path(kind)));
        let bundle = bundle.set("/annotations", annotations.clone()).args(&["sleep", "1000"]);
        let container = maker.create(t, &bundle)?;
        let pid = container.pid()?;
        container.start()?;
        container.delete_forcibly()?;
        for kind in KINDS {
            let state: Value = serde_json::from_str(&notes.text(kind))?;
            check!(is_a_state(&state), "{kind}: {state}");
            check_eq!((kind, state["status"].as_str()), (kind, Some(status(kind))));
            check_eq!(state["id"], container.id());
            check_eq!(state["bundle"].as_str(), bundle.directory().to_str());
            check_eq!(state["annotations"], annotations);
            check!(state["ociVersion"].as_str().is_some_and(|it| it.starts_with("1.")), "{state}");
            match kind {
                "poststop" => check_eq!(state["pid"].as_u64().unwrap_or_default(), 0),
                kind if INSIDE.contains(&kind) && t.is_coracle() => check_eq!(state["pid"], 1),
                kind if INSIDE.contains(&kind) => {}
                _ => check_eq!(state["pid"], pid),
            }
        }
    }
    Ok(Passed)
}

fn read_a_state_without_annotations(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = bundle.without_namespace("pid").args(&["sleep", "1000"]);
    let bundle = with_all(bundle, |kind| format!("cat > {}", notes.path(kind)));
    let container = t.start(&bundle.remove("/annotations"))?;
    let pid = container.pid()?;
    container.delete_forcibly()?;
    for kind in KINDS {
        let state: Value = serde_json::from_str(&notes.text(kind))?;
        check!(is_a_state(&state), "{kind}: {state}");
        // There is one pid namespace for all.
        let expected = if kind == "poststop" { 0 } else { pid };
        check_eq!((kind, state["pid"].as_i64().unwrap_or_default()), (kind, expected.into()));
    }
    Ok(Passed)
}

/// Longer than any pipe.
const LONG: usize = 200_000;

fn need_not_read_it(t: &mut Context) -> Result<Verdict> {
    for script in ["exit 0", "exec <&-; sleep 0.1", "read -r line < /dev/null; exit 0"] {
        let bundle = t.bundle()?.set("/annotations/long", "x".repeat(LONG));
        let output = t.run(&with_all(bundle, |_| script.to_owned()))?.expect(0)?;
        check_eq!(output.stderr, "");
    }
    Ok(Passed)
}

fn read_all_of_a_long_state(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let long = "x".repeat(LONG);
    let bundle = bundle.set("/annotations/long", long.clone());
    t.run(&with_all(bundle, |kind| format!("sleep 0.1; cat > {}", notes.path(kind))))?.expect(0)?;
    for kind in KINDS {
        let state: Value = serde_json::from_str(&notes.text(kind))?;
        check!(state["annotations"]["long"] == long, "{kind} reads another state");
    }
    Ok(Passed)
}

/// The first one is the name, which a file can differ from; and there need not be any.
fn get_their_arguments(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let print = |kind: &str| {
        format!("for i in \"$0\" \"$@\"; do echo \"<$i>\"; done > {}", notes.path(kind))
    };
    let bundle = KINDS.iter().fold(bundle, |bundle, kind| {
        let words = ["sh", "-c", &print(kind), "zero", "", "two words", "$3", "-4"];
        bundle.push(&format!("/hooks/{kind}"), json!({"path": "/bin/busybox", "args": words}))
    });
    // This one has no arguments, and is the same file for all.
    let program = t.path("program");
    let script = format!("#!/bin/sh\necho \"$# $0\" >> {}\n", notes.path("bare"));
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let path = program.to_string_lossy();
    let bundle = bundle.mount(&path, "bind", &path, &["bind", "ro"]);
    let bundle = KINDS
        .iter()
        .fold(bundle, |bundle, kind| bundle.push(&format!("/hooks/{kind}"), json!({"path": path})));
    t.run(&bundle)?.expect(0)?;
    for kind in KINDS {
        check_eq!(notes.text(kind), "<zero>\n<>\n<two words>\n<$3>\n<-4>\n");
    }
    check_eq!(notes.text("bare"), format!("0 {path}\n").repeat(KINDS.len()));
    Ok(Passed)
}

/// Without a shell, which adds to it.
fn copy_of_environment(notes: &Notes, kind: &str) -> Value {
    let args = ["busybox", "cp", "/proc/self/environ", &notes.path(kind)];
    json!({"path": "/bin/busybox", "args": args})
}

fn get_their_environment(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = KINDS.iter().fold(bundle, |bundle, kind| {
        let mut hook = copy_of_environment(&notes, kind);
        hook["env"] = json!(["B=2", "A=1=x", "EMPTY="]);
        bundle.push(&format!("/hooks/{kind}"), hook)
    });
    t.run_with(&bundle, &[])?.env("FROM_THE_CALLER", "1").succeed()?;
    for kind in KINDS {
        let text = notes.text(kind);
        let mut lines: Vec<_> = text.split_terminator('\0').collect();
        lines.sort_unstable();
        check_eq!((kind, lines), (kind, vec!["A=1=x", "B=2", "EMPTY="]));
    }
    Ok(Passed)
}

fn inherit_an_environment_if_none_is_given(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?.push("/process/env", "OF_THE_PROCESS=1"))?;
    let bundle = KINDS.iter().fold(bundle, |bundle, kind| {
        bundle.push(&format!("/hooks/{kind}"), copy_of_environment(&notes, kind))
    });
    t.run_with(&bundle, &[])?.env("FROM_THE_CALLER", "1").succeed()?;
    for kind in KINDS {
        let text = notes.text(kind);
        let of_the_process = text.contains("OF_THE_PROCESS=1\0");
        check_eq!((kind, of_the_process), (kind, kind == "startContainer"));
        let from_the_caller = text.contains("FROM_THE_CALLER=1\0");
        check!(!from_the_caller || !INSIDE.contains(&kind), "{kind} has {text:?}");
    }
    check!(notes.text("startContainer").contains("PATH="), "no PATH");
    Ok(Passed)
}

/// Those of the host can have what the caller lets them have: it trusts them.
fn have_no_other_descriptor(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = with_all(bundle.args(&["sleep", "1000"]), |kind| {
        format!("/bin/busybox ls /proc/self/fd > {}", notes.path(kind))
    });
    let careless = t.command().after("exec 3</ 4</etc 5>/dev/null 9</");
    let container = t.create_by(careless, &bundle, &[])?;
    container.start()?;
    container.delete_forcibly()?;
    for kind in INSIDE {
        // The last is the list itself.
        check_eq!((kind, notes.text(kind)), (kind, "0\n1\n2\n3\n".to_owned()));
    }
    Ok(Passed)
}
