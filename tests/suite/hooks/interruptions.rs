//! The runtime killed while a hook runs, and everything at once.

use std::thread::sleep;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Result, Test, Verdict, check, check_eq, eventually, need, scaled, tests,
};
use rustix::process::Signal;

use super::{CREATING, INSIDE, KINDS, Notes, shell, with_all};

pub const TESTS: &[Test] = tests![
    a_creation_killed_in_a_hook_can_be_cleaned_up,
    a_start_killed_in_a_hook_can_be_cleaned_up,
    a_deletion_killed_in_a_hook_can_be_repeated,
    a_run_that_gets_a_signal_in_a_hook_ends,
    a_killed_creation_can_be_cleaned_up_at_any_moment,
    a_container_that_is_killed_in_a_hook_fails,
    a_start_whose_process_is_killed_in_a_hook_fails,
];

/// A hook that says that it has begun, and does not end by itself.
fn hanging(bundle: Bundle, notes: &Notes, kind: &str) -> Bundle {
    let script = format!("echo $$ > {}; sleep 1000", notes.path("begun"));
    let bundle = bundle.push(&format!("/hooks/{kind}"), shell(&script));
    bundle.args(&["sleep", "1000"])
}

/// The hook, if the container does not take it along.
fn end_hook(notes: &Notes, kind: &str) -> Result<()> {
    if INSIDE.contains(&kind) {
        return Ok(());
    }
    // With its group, if it still is; the audit sees what stays.
    let pid = notes.text("begun").trim().parse().ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        rustix::process::kill_process_group(pid, Signal::KILL).unwrap_or_default();
    }
    Ok(())
}

fn a_creation_killed_in_a_hook_can_be_cleaned_up(t: &mut Context) -> Result<Verdict> {
    for kind in CREATING {
        let (notes, bundle) = Notes::new(t, t.bundle()?)?;
        let bundle = hanging(bundle, &notes, kind);
        bundle.write()?;
        let id = t.id();
        let create = t.command().arg("create").arg("--bundle").arg(bundle.directory()).arg(&id);
        let create = create.spawn()?;
        notes.wait_for("begun")?;
        check!(create.runs()?);
        create.kill()?;
        t.command().arg("list").succeed()?;
        t.command().args(["delete", "--force", &id]).succeed()?;
        t.command().args(["state", &id]).run()?.refused(&["does not exist"])?;
        end_hook(&notes, kind)?;
        // The id is free, and the bundle usable without the hook.
        let bundle = bundle.remove("/hooks");
        bundle.write()?;
        let again = t.command().arg("create").arg("--bundle").arg(bundle.directory());
        again.arg(&id).succeed()?;
        t.command().args(["delete", &id]).succeed()?;
    }
    Ok(Passed)
}

fn a_start_killed_in_a_hook_can_be_cleaned_up(t: &mut Context) -> Result<Verdict> {
    for kind in ["startContainer", "poststart"] {
        let (notes, bundle) = Notes::new(t, t.bundle()?)?;
        let bundle = hanging(bundle, &notes, kind);
        let container = t.create(&bundle)?;
        let start = container.command("start", &[]).spawn()?;
        notes.wait_for("begun")?;
        start.kill()?;
        container.command("state", &[]).succeed()?;
        container.delete_forcibly()?;
        end_hook(&notes, kind)?;
    }
    Ok(Passed)
}

fn a_deletion_killed_in_a_hook_can_be_repeated(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let container = t.start(&hanging(bundle, &notes, "poststop"))?;
    let delete = container.command("delete", &["--force"]).spawn()?;
    notes.wait_for("begun")?;
    delete.kill()?;
    end_hook(&notes, "poststop")?;
    // If there is still something to delete the hook hangs again.
    let again = container.command("delete", &["--force"]).spawn()?;
    eventually("the deletion or the hook", || {
        if again.runs()? {
            end_hook(&notes, "poststop")?;
        }
        Ok((!again.runs()?).then_some(()))
    })?;
    again.wait()?.expect(0)?;
    container.command("state", &[]).run()?.refused(&["does not exist"])?;
    Ok(Passed)
}

fn a_run_that_gets_a_signal_in_a_hook_ends(t: &mut Context) -> Result<Verdict> {
    for kind in &KINDS[..4] {
        let (notes, bundle) = Notes::new(t, t.bundle()?)?;
        let bundle = hanging(bundle, &notes, kind);
        let (command, id) = t.run_as(&bundle, &[])?;
        let running = command.spawn()?;
        notes.wait_for("begun")?;
        running.signal(Signal::KILL)?;
        running.wait()?;
        t.command().args(["delete", "--force", &id]).succeed()?;
        end_hook(&notes, kind)?;
    }
    Ok(Passed)
}

fn a_killed_creation_can_be_cleaned_up_at_any_moment(t: &mut Context) -> Result<Verdict> {
    let bundle = with_all(t.bundle()?, |_| "exit 0".to_owned()).args(&["sleep", "1000"]);
    bundle.write()?;
    // A list of what never was is an error.
    std::fs::create_dir_all(t.store())?;
    let longest = scaled(1) * 40 / 1000;
    for round in 0..40_u32 {
        let id = t.id();
        let create = t.command().arg("create").arg("--bundle").arg(bundle.directory()).arg(&id);
        let create = create.spawn()?;
        sleep(longest * (round * 17 % 40) / 40);
        create.kill()?;
        t.command().args(["delete", "--force", &id]).succeed()?;
        check_eq!(t.command().args(["list", "--quiet"]).succeed()?.stdout, "");
    }
    Ok(Passed)
}

/// Whoever kills the process in the meantime gets no container that waits for ever.
fn a_container_that_is_killed_in_a_hook_fails(t: &mut Context) -> Result<Verdict> {
    const PID: &str = r#"pid=$(tr , '\n' | sed -n 's/.*"pid" *: *\([0-9]*\).*/\1/p')"#;
    for kind in ["prestart", "createRuntime"] {
        let script = format!("{PID}; kill -9 $pid; sleep 0.1");
        let bundle = t.bundle()?.push(&format!("/hooks/{kind}"), shell(&script));
        let output = t.run(&bundle)?;
        check!(output.code() != 0 && !output.stderr.is_empty(), "{output}");
    }
    // A process that has ended when its hook comes has been started all the same.
    let bundle = t.bundle()?.push("/hooks/poststart", shell("sleep 0.2"));
    t.run(&bundle.script("exit 4"))?.expect(4)?;
    Ok(Passed)
}

/// Its program was never executed.
fn a_start_whose_process_is_killed_in_a_hook_fails(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not wait for the execution");
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let bundle = bundle.push("/hooks/poststart", shell(&notes.add("poststart")));
    let container = t.create(&hanging(bundle, &notes, "startContainer"))?;
    let start = container.command("start", &[]).spawn()?;
    notes.wait_for("begun")?;
    container.kill("KILL")?;
    start.wait()?.refused(&[])?;
    check!(notes.list().is_empty(), "the hook after the start has run");
    container.finish()?;
    Ok(Passed)
}
