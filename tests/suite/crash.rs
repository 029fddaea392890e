//! The runtime killed at any moment, and very short lives.

use std::time::Duration;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Background, Bundle, Context, Result, Suite, Test, Verdict, check, check_eq, scaled, tests,
};

pub fn add_to(suite: Suite) -> Suite {
    suite.group("crash", TESTS)
}

const TESTS: &[Test] = tests![
    a_killed_create_can_be_cleaned_up,
    a_killed_run_can_be_cleaned_up,
    a_killed_start_can_be_repeated_or_cleaned_up,
    a_killed_delete_can_be_repeated,
    short_lives_end_with_the_right_code,
    many_commands_on_one_container_do_no_harm,
];

const ROUNDS: u32 = 40;

/// Moments from 0 to 30 milliseconds (scaled), spread evenly but in no order.
pub fn moments() -> impl Iterator<Item = Duration> {
    let longest = scaled(1) * 30 / 1000;
    (0..ROUNDS).map(move |round| longest * (round * 17 % ROUNDS) / ROUNDS)
}

pub fn kill_after(running: Background, moment: Duration) -> Result<()> {
    std::thread::sleep(moment);
    running.kill()
}

/// After the cleaning nothing is left, and the same id is free.
fn clean(t: &Context, bundle: &Bundle, id: &str) -> Result<()> {
    // It may not even have come to making the store, which a list needs.
    std::fs::create_dir_all(t.store())?;
    // Whatever is there is listed and told, not a reason to crash.
    t.command().arg("list").succeed()?;
    let state = t.command().args(["state", id]).run()?;
    check!([0, 1].contains(&state.code()), "{state}");
    t.command().args(["delete", "--force", id]).succeed()?;
    check_eq!(t.command().args(["list", "--quiet"]).succeed()?.stdout, "");
    let create = t.command().arg("create").arg("--bundle").arg(bundle.directory()).arg(id);
    create.succeed()?;
    t.command().args(["delete", id]).succeed()?;
    Ok(())
}

fn a_killed_create_can_be_cleaned_up(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/linux/resources/pids/limit", 50).idle();
    bundle.write()?;
    for moment in moments() {
        let id = t.id();
        let create = t.command().arg("create").arg("--bundle").arg(bundle.directory()).arg(&id);
        kill_after(create.spawn()?, moment)?;
        clean(t, &bundle, &id)?;
    }
    Ok(Passed)
}

fn a_killed_run_can_be_cleaned_up(t: &mut Context) -> Result<Verdict> {
    for namespace in ["mount", "pid"] {
        let bundle = t.bundle()?.script("sleep 1000 & sleep 1000");
        // Once with a pid namespace of its own, once without.
        let bundle = if namespace == "pid" { bundle.without_namespace("pid") } else { bundle };
        for moment in moments() {
            let (run, id) = t.run_as(&bundle, &[])?;
            kill_after(run.spawn()?, moment)?;
            clean(t, &bundle, &id)?;
        }
    }
    Ok(Passed)
}

fn a_killed_start_can_be_repeated_or_cleaned_up(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    for moment in moments() {
        let container = t.create(&bundle)?;
        kill_after(container.command("start", &[]).spawn()?, moment / 3)?;
        let again = container.command("start", &[]).run()?;
        check!(again.code() == 0 || again.stderr.contains("running"), "{again}");
        check_eq!(container.status()?, "running");
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn a_killed_delete_can_be_repeated(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("sleep 1000 & sleep 1000");
    for moment in moments() {
        let container = t.start(&bundle)?;
        kill_after(container.command("delete", &["--force"]).spawn()?, moment / 2)?;
        clean(t, &bundle, container.id())?;
    }
    Ok(Passed)
}

fn short_lives_end_with_the_right_code(t: &mut Context) -> Result<Verdict> {
    let bundles =
        [0, 7].map(|code| -> Result<_> { Ok((code, t.bundle()?.script(&format!("exit {code}")))) });
    let bundles = bundles.into_iter().collect::<Result<Vec<_>>>()?;
    for round in 0..25 {
        let (code, bundle) = &bundles[round % 2];
        let eight = (0..8).map(|_| t.run_with(bundle, &[])?.spawn());
        for running in eight.collect::<Result<Vec<_>>>()? {
            running.wait()?.expect(*code)?;
        }
    }
    Ok(Passed)
}

/// Each ends well or with a sentence, and what is left can be deleted.
fn many_commands_on_one_container_do_no_harm(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    bundle.write()?;
    for _ in 0..8 {
        let id = t.id();
        let command = |words: &[&str]| match words {
            ["create"] => {
                t.command().arg("create").arg("--bundle").arg(bundle.directory()).arg(&id)
            }
            words => t.command().args(words).arg(&id),
        };
        let all: [&[&str]; 10] = [
            &["create"],
            &["start"],
            &["delete", "--force"],
            &["create"],
            &["state"],
            &["start"],
            &["kill", "--all"],
            &["create"],
            &["delete"],
            &["delete", "--force"],
        ];
        let running = all.map(|words| command(words).spawn());
        for one in running {
            let output = one?.wait()?;
            check!([0, 1].contains(&output.code()), "{output}");
            check!(!output.stderr.contains("panicked"), "{output}");
        }
        clean(t, &bundle, &id)?;
    }
    Ok(Passed)
}
