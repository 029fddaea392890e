//! Containers as services of a service manager: readiness and socket activation.

use std::os::unix::net::UnixDatagram;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Container, Context, Result, Suite, Test, Verdict, check, check_eq, eventually, need, scaled,
    tests,
};

pub fn add_to(suite: Suite) -> Suite {
    suite.group("service_manager", TESTS)
}

const TESTS: &[Test] = tests![
    a_start_waits_until_the_service_is_ready,
    a_detached_run_waits_until_the_service_is_ready,
    a_foreground_run_passes_readiness_on,
    a_service_that_ends_unready_keeps_nobody_waiting,
    passes_on_listening_sockets,
    keeps_sockets_that_are_for_another_process,
];

/// The socket of the service manager, and the command line's way to it.
fn manager(t: &Context) -> Result<UnixDatagram> {
    let socket = UnixDatagram::bind(t.path("manager"))?;
    socket.set_read_timeout(Some(scaled(10)))?;
    Ok(socket)
}

fn receive(socket: &UnixDatagram) -> Result<String> {
    let mut message = [0; 1024];
    let length = socket.recv(&mut message)?;
    Ok(String::from_utf8_lossy(&message[..length]).into_owned())
}

/// Says this as the service in the container of process `pid` does.
fn say(pid: i32, message: &str) -> Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.send_to(message.as_bytes(), format!("/proc/{pid}/root/run/notify/notify.sock"))?;
    Ok(())
}

const SERVICE: &str =
    "test -S \"$NOTIFY_SOCKET\" && echo has a socket; while :; do sleep 0.05; done";

fn a_start_waits_until_the_service_is_ready(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the path of its socket is our own");
    let manager = manager(t)?;
    let runtime = t.command().env("NOTIFY_SOCKET", t.path("manager"));
    let container = t.create_by(runtime, &t.bundle()?.script(SERVICE), &[])?;
    let start = container.command("start", &[]).env("NOTIFY_SOCKET", t.path("manager")).spawn()?;
    container.wait_for("has a socket")?;
    let pid = container.pid()?;
    say(pid, "STATUS=getting there")?;
    say(pid, "MAINPID=1\nREADY=1\nFDSTORE=1")?;
    // Nothing else of what a container says is passed on.
    check_eq!(receive(&manager)?, format!("READY=1\nMAINPID={pid}"));
    check_eq!(receive(&manager)?, "BARRIER=1");
    start.wait()?.expect(0)?;
    end(&container)
}

fn end(container: &Container) -> Result<Verdict> {
    container.delete_forcibly()?;
    Ok(Passed)
}

fn a_detached_run_waits_until_the_service_is_ready(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the path of its socket is our own");
    let manager = manager(t)?;
    let bundle = t.bundle()?.script(SERVICE);
    let (command, id) = t.run_as(&bundle, &["--detach"])?;
    let run = command.env("NOTIFY_SOCKET", t.path("manager")).spawn()?;
    let pid = eventually("a socket", || {
        let state = t.command().arg("state").arg(&id).run()?;
        let pid = if state.code() == 0 { state.json()?["pid"].as_i64() } else { None };
        let pid = pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
        Ok(pid.filter(|_| run.stdout().is_ok_and(|said| said.contains("has a socket"))))
    })?;
    check!(run.runs()?, "it did not wait");
    say(pid, "READY=1")?;
    check_eq!(receive(&manager)?, format!("READY=1\nMAINPID={pid}"));
    check!(run.runs()?, "it did not wait for the manager");
    check_eq!(receive(&manager)?, "BARRIER=1");
    run.wait()?.expect(0)?;
    t.command().args(["delete", "--force", &id]).succeed()?;
    Ok(Passed)
}

fn a_foreground_run_passes_readiness_on(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the path of its socket is our own");
    let manager = manager(t)?;
    let pid_file = t.path("pid");
    let flags = ["--pid-file", &pid_file.to_string_lossy()];
    let command = t.run_with(&t.bundle()?.script(SERVICE), &flags)?;
    let run = command.env("NOTIFY_SOCKET", t.path("manager")).spawn()?;
    eventually("a socket", || Ok(run.stdout()?.contains("has a socket").then_some(())))?;
    let pid = std::fs::read_to_string(&pid_file)?.parse()?;
    say(pid, "READY=1")?;
    check_eq!(receive(&manager)?, format!("READY=1\nMAINPID={pid}"));
    run.signal(rustix::process::Signal::KILL)?;
    run.wait()?;
    let id = eventually("the container in the list", || {
        let list = t.command().args(["list", "-q"]).succeed()?;
        Ok(list.lines().first().map(|id| (*id).to_owned()))
    })?;
    t.command().args(["delete", "--force", &id]).succeed()?;
    Ok(Passed)
}

fn a_service_that_ends_unready_keeps_nobody_waiting(t: &mut Context) -> Result<Verdict> {
    let _manager = manager(t)?;
    let (command, id) = t.run_as(&t.bundle()?.script("exit 3"), &["--detach"])?;
    command.env("NOTIFY_SOCKET", t.path("manager")).run()?.expect(0)?;
    t.command().args(["delete", "--force", &id]).succeed()?;
    let command = t.run_with(&t.bundle()?.script("exit 3"), &[])?;
    command.env("NOTIFY_SOCKET", t.path("manager")).run()?.expect(3)?;
    Ok(Passed)
}

const SHOW: &str = "echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; cat <&3; cat <&4; cat <&5";

fn passes_on_listening_sockets(t: &mut Context) -> Result<Verdict> {
    for name in ["three", "four", "five"] {
        std::fs::write(t.path(name), format!("{name}\n"))?;
    }
    let open = |fd: u32, name: &str| format!("exec {fd}<'{}'", t.path(name).display());
    let listen = "export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=web:admin";
    let open = [open(3, "three"), open(4, "four"), open(5, "five"), listen.into()].join("\n");
    let command = t.run_with(&t.bundle()?.script(SHOW), &["--preserve-fds", "1"])?.after(&open);
    let output = command.run()?.expect(0)?;
    let names = if t.is_coracle() { "2 1 web:admin" } else { "2 1" };
    check_eq!(output.lines(), [names, "three", "four", "five"]);
    Ok(Passed)
}

fn keeps_sockets_that_are_for_another_process(t: &mut Context) -> Result<Verdict> {
    let listen = format!("exec 3<'{}'\nexport LISTEN_FDS=1 LISTEN_PID=1", "/dev/null");
    let script = "echo .$LISTEN_FDS.$LISTEN_PID.; test -e /proc/$$/fd/3 || echo none";
    let output = t.run_with(&t.bundle()?.script(script), &[])?.after(&listen).run()?.expect(0)?;
    check_eq!(output.lines(), ["...", "none"]);
    Ok(Passed)
}
