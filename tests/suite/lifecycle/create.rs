//! `create`, `start` and `state`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, check_has, tests};

pub const TESTS: &[Test] = tests![
    goes_from_created_to_running_to_stopped,
    does_not_execute_before_the_start,
    starts_once,
    keeps_a_deleted_configuration,
    does_not_know_what_does_not_exist,
    refuses_an_id_that_is_taken,
    of_many_with_one_id_one_succeeds,
    takes_long_and_odd_ids,
    writes_the_pid_file,
    keeps_its_state_private,
    survives_the_death_of_its_creator,
    leaves_nothing_when_it_cannot_start,
];

fn goes_from_created_to_running_to_stopped(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?.idle())?;
    check_eq!(container.status()?, "created");
    let pid = container.pid()?;
    container.start()?;
    check_eq!(container.status()?, "running");
    check_eq!(container.pid()?, pid);
    container.wait_for("ready")?;
    container.kill("TERM")?;
    container.wait_until_stopped()?;
    check_eq!(container.state()?["pid"], 0);
    container.delete()?;
    Ok(Passed)
}

fn does_not_execute_before_the_start(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?.writable().script("echo executed"))?;
    let command = fs::read_to_string(format!("/proc/{}/cmdline", container.pid()?))?;
    check!(!command.starts_with("sh"), "{command:?} is executed already");
    check_eq!(container.stdout()?, "");
    container.start()?;
    check_eq!(container.finish()?, "executed\n");
    Ok(Passed)
}

fn starts_once(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    container.command("start", &[]).run()?.refused(&["running"])?;
    container.wait_for("ready")?;
    container.kill("KILL")?;
    container.wait_until_stopped()?;
    container.command("start", &[]).run()?.refused(&["stopped"])?;
    container.delete()?;
    Ok(Passed)
}

fn keeps_a_deleted_configuration(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("echo still here");
    let container = t.create(&bundle)?;
    fs::remove_file(bundle.directory().join("config.json"))?;
    container.start()?;
    check_eq!(container.finish()?, "still here\n");
    Ok(Passed)
}

fn does_not_know_what_does_not_exist(t: &mut Context) -> Result<Verdict> {
    for command in ["start", "state", "kill", "delete"] {
        let output = t.command().args([command, "nobody"]).run()?;
        // What containerd and others look for.
        output.refused(&["does not exist"])?;
    }
    t.command().args(["delete", "--force", "nobody"]).succeed()?;
    Ok(Passed)
}

fn refuses_an_id_that_is_taken(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    let container = t.start(&bundle)?;
    container.wait_for("ready")?;
    for command in ["create", "run"] {
        let command = t.command().arg(command).arg("--bundle").arg(bundle.directory());
        command.arg(container.id()).run()?.refused(&["exist"])?;
    }
    check_eq!(container.status()?, "running");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn of_many_with_one_id_one_succeeds(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    bundle.write()?;
    let id = t.id();
    let create = || {
        let command = t.command().arg("create").arg("--bundle").arg(bundle.directory());
        command.arg(&id).spawn()
    };
    let creators = (0..8).map(|_| create()).collect::<Result<Vec<_>>>()?;
    let outputs = creators.into_iter().map(|it| it.wait()).collect::<Result<Vec<_>>>()?;
    let (created, refused): (Vec<_>, Vec<_>) = outputs.iter().partition(|it| it.code() == 0);
    check_eq!(created.len(), 1);
    for output in refused {
        output.says(&["already exists"])?;
    }
    t.command().args(["start", &id]).succeed()?;
    t.command().args(["delete", "--force", &id]).succeed()?;
    Ok(Passed)
}

fn takes_long_and_odd_ids(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/linux/cgroupsPath", format!("/{}", t.id()));
    bundle.write()?;
    let run = |id: &str| {
        let command = t.command().arg("run").arg("--bundle").arg(bundle.directory());
        command.args(["--", id]).run()
    };
    for id in ["a", "-leading", "..dots", "UPPER_lower+1.2-3", &"x".repeat(200)] {
        run(id)?.expect(0)?;
    }
    for id in ["", ".", "..", "a/b", "a b", "ä", "a\n", &"x".repeat(256)] {
        run(id)?.refused(&["ID"])?;
    }
    Ok(Passed)
}

fn writes_the_pid_file(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    // The directory is the caller's, not the bundle's.
    let command = t.command().directory(t.path(""));
    let container = t.create_by(command, &bundle, &["--pid-file", "pid"])?;
    let file = t.path("pid");
    check_eq!(fs::read_to_string(&file)?, container.pid()?.to_string());
    check_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o644);
    container.delete()?;
    Ok(Passed)
}

fn keeps_its_state_private(t: &mut Context) -> Result<Verdict> {
    let command = t.command().after("umask 000");
    let container = t.create_by(command, &t.bundle()?, &[])?;
    let directory = t.store().join(container.id());
    let mode = |path| -> Result<u32> { Ok(fs::metadata(path)?.permissions().mode() & 0o077) };
    check_eq!(mode(directory.join("state.json"))?, 0);
    check_eq!(mode(directory)? & 0o066, 0);
    container.delete()?;
    Ok(Passed)
}

fn survives_the_death_of_its_creator(t: &mut Context) -> Result<Verdict> {
    let (command, id) = t.run_as(&t.bundle()?.idle(), &["--keep"])?;
    let running = command.spawn()?;
    coracle_testkit::eventually("a running container", || {
        Ok(running.stdout()?.contains("ready").then_some(()))
    })?;
    running.kill()?;
    let state = t.command().args(["state", &id]).succeed()?;
    check_has!(state.stdout, "running");
    t.command().args(["delete", "--force", &id]).succeed()?;
    Ok(Passed)
}

fn leaves_nothing_when_it_cannot_start(t: &mut Context) -> Result<Verdict> {
    // The file is there at the creation, and no program at the start.
    let bundle = t.bundle()?.args(&["/script"]);
    let script = bundle.rootfs().join("script");
    fs::write(&script, "#!/bin/sh\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let container = t.create(&bundle)?;
    fs::write(&script, "no program\n")?;
    container.command("start", &[]).run()?.refused(&["/script"])?;
    container.wait_until_stopped()?;
    container.delete()?;
    Ok(Passed)
}
