//! What users of docker and podman do, in their words; both do it alike.

use std::fs;

use coracle_testkit::{Cmd, Context, Result, check, check_eq, check_has, eventually};

use super::client::Client;
use super::{IMAGE, uses_terminal};

/// What a user does with an engine.
pub type Scenario = fn(&Context, &Client) -> Result<()>;

pub fn runs(_: &Context, engine: &Client) -> Result<()> {
    let script = "echo $FROM; echo error >&2; exit 7";
    let output = engine.run(&["--rm"]).args(["sh", "-c", script]).run()?.expect(7)?;
    check_eq!(output.text(), "image");
    check_has!(output.stderr, "error");
    let flags =
        ["--hostname", "vessel", "--env", "A=b", "--workdir", "/tmp", "--user", "1000:1000"];
    let output = engine.script(&flags, "hostname; echo $A; pwd; id -u; id -g")?;
    check_eq!(output.lines(), ["vessel", "b", "/tmp", "1000", "1000"]);
    let output = engine.run(&["--rm", "--interactive"]).arg("cat").input("from outside\n")?;
    check_eq!(output.succeed()?.text(), "from outside");
    eventually("the removal of the containers", || {
        Ok(engine.text(&["ps", "--all", "--quiet"])?.is_empty().then_some(()))
    })
}

pub fn says_what_it_cannot_run(_: &Context, engine: &Client) -> Result<()> {
    let output = engine.run(&["--rm"]).arg("no-such").run()?.expect(127)?;
    output.says(&["\"no-such\"", "executable file not found in $PATH"])?;
    let output = engine.run(&["--rm"]).arg("/etc/passwd").run()?.expect(126)?;
    check_has!(output.stderr.to_lowercase(), "/etc/passwd", "permission denied");
    engine.serve("it", &[])?;
    let output = engine.command(&["exec", "it", "no-such"]).run()?;
    check!([126, 127].contains(&output.code()), "{output}");
    check_has!(output.to_string(), "\"no-such\"", "executable file not found in $PATH");
    engine.end("it")
}

pub fn gives_terminals(_: &Context, engine: &Client) -> Result<()> {
    uses_terminal(engine.run(&["--rm", "--interactive", "--tty"]))?;
    engine.serve("it", &[])?;
    uses_terminal(engine.command(&["exec", "--interactive", "--tty", "it"]))?;
    engine.end("it")
}

pub fn executes(_: &Context, engine: &Client) -> Result<()> {
    engine.serve("it", &[])?;
    check_eq!(engine.exec("it", &[], "echo in; exit 4")?.expect(4)?.text(), "in");
    let flags = ["--user", "1000:1000", "--workdir", "/tmp", "--env", "A=b"];
    let output = engine.exec("it", &flags, "id -u; id -g; pwd; echo $A $FROM")?.expect(0)?;
    check_eq!(output.lines(), ["1000", "1000", "/tmp", "b image"]);
    let output = engine.command(&["exec", "--interactive", "it", "cat"]).input("from outside\n")?;
    check_eq!(output.succeed()?.text(), "from outside");
    engine.exec("it", &["--detach"], "echo made > /tmp/made")?.expect(0)?;
    eventually("the file", || {
        Ok((engine.exec("it", &[], "cat /tmp/made")?.text() == "made").then_some(()))
    })?;
    check_has!(engine.text(&["top", "it"])?, "echo bye");
    check_has!(engine.text(&["top", "it", "-eo", "pid,comm"])?, " sh");
    engine.end("it")
}

pub fn stops_and_starts(_: &Context, engine: &Client) -> Result<()> {
    engine.serve("it", &[])?;
    engine.text(&["stop", "it"])?;
    check_eq!(engine.inspect("it", ".State.Status")?, "exited");
    check_eq!(engine.inspect("it", ".State.ExitCode")?, "9");
    engine.text(&["start", "it"])?;
    engine.logs("it", "up\nbye\nup\n")?;
    engine.text(&["restart", "it"])?;
    engine.logs("it", "up\nbye\nup\nbye\nup\n")?;
    engine.text(&["kill", "--signal", "TERM", "it"])?;
    check_eq!(engine.text(&["wait", "it"])?, "9");
    engine.text(&["rm", "it"])?;
    engine.detach("stubborn", &[], "trap '' TERM; echo up; while :; do sleep 0.05; done")?;
    engine.logs("stubborn", "up\n")?;
    engine.text(&["stop", "--time", "1", "stubborn"])?;
    check_eq!(engine.inspect("stubborn", ".State.ExitCode")?, "137");
    engine.text(&["rm", "stubborn"]).map(drop)
}

pub fn restarts_after_failures(_: &Context, engine: &Client) -> Result<()> {
    engine.detach("it", &["--restart", "on-failure:2"], "echo tried; exit 3")?;
    eventually("two more tries", || {
        let state = [".RestartCount", ".State.Status", ".State.ExitCode"]
            .map(|it| engine.inspect("it", it));
        Ok((state.into_iter().collect::<Result<Vec<_>>>()? == ["2", "exited", "3"]).then_some(()))
    })?;
    engine.logs("it", "tried\ntried\ntried\n")?;
    engine.text(&["rm", "it"]).map(drop)
}

pub fn pauses(_: &Context, engine: &Client) -> Result<()> {
    engine.detach("it", &[], "while :; do echo tick; sleep 0.01; done")?;
    let said = || engine.text(&["logs", "it"]);
    eventually("a tick", || Ok((!said()?.is_empty()).then_some(())))?;
    engine.text(&["pause", "it"])?;
    check_eq!(engine.inspect("it", ".State.Status")?, "paused");
    // What was written before may still be on its way.
    let paused = eventually("the end of the ticks", || {
        let before = said()?;
        std::thread::sleep(std::time::Duration::from_millis(200));
        Ok((said()? == before).then_some(before))
    })?;
    check!(engine.exec("it", &[], "true")?.code() != 0);
    engine.text(&["unpause", "it"])?;
    eventually("more ticks", || Ok((said()?.len() > paused.len()).then_some(())))?;
    check_eq!(engine.exec("it", &[], "echo in")?.expect(0)?.text(), "in");
    engine.end("it")
}

/// The files of limits as the container sees them, under either name.
const LIMITS: &str = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max \
    pids/pids.max pids.max cpu/cpu.cfs_quota_us cpu.max 2>/dev/null || true";

pub fn limits(_: &Context, engine: &Client) -> Result<()> {
    let flags = ["--memory", "64m", "--pids-limit", "33", "--cpus", "0.5"];
    let output = engine.script(&flags, LIMITS)?;
    check_eq!(output.text().replace(" 100000", ""), "67108864\n33\n50000");
    // podman forgets its own limits, which the user may have to lower, when it is told of one.
    let flags = ["--ulimit", "nofile=100:200", "--ulimit", "nproc=1000:1000"];
    let output = engine.script(&flags, "ulimit -n; ulimit -Hn")?;
    check_eq!(output.lines(), ["100", "200"]);
    let flags = ["--name", "greedy", "--memory", "16m", "--memory-swap", "16m"];
    let output = engine.run(&flags).args(["sh", "-c", "a=$(yes)"]).run()?;
    check_eq!(output.code(), 137);
    engine.text(&["rm", "greedy"]).map(drop)
}

pub fn updates(_: &Context, engine: &Client) -> Result<()> {
    engine.serve("it", &["--memory", "64m", "--memory-swap", "64m"])?;
    engine.text(&["update", "--memory", "32m", "--memory-swap", "32m", "--cpus", "0.5", "it"])?;
    let seen = engine.exec("it", &[], LIMITS)?;
    check_has!(seen.stdout, "33554432", "50000");
    engine.end("it")
}

pub fn confines(_: &Context, engine: &Client) -> Result<()> {
    let rights = "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status";
    let flags = ["--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges"];
    let output = engine.script(&flags, rights)?;
    check_eq!(output.lines(), ["CapEff:\t0000000000000001", "NoNewPrivs:\t1", "Seccomp:\t2"]);
    let output = engine.script(&["--security-opt", "seccomp=unconfined"], rights)?;
    check_has!(output.stdout, "Seccomp:\t0");
    let flags = ["--device", "/dev/full:/dev/mine", "--sysctl", "kernel.msgmax=1000"];
    let script = "cat /proc/sys/kernel/msgmax; echo > /dev/mine";
    let output = engine.script(&flags, &format!("{{ {script}; }} 2>&1 || true"))?;
    check_has!(output.stdout, "1000\n", "No space left on device");
    Ok(())
}

/// With the capabilities that the host has.
pub fn is_privileged(t: &Context, engine: &Client) -> Result<()> {
    let seen =
        "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; touch /sys && echo writable";
    let output = engine.script(&["--privileged"], seen)?;
    let has = |number: u32| if t.host().has_capability(number) { 1 << number } else { 0 };
    let ours: u64 = (0..41).map(has).sum();
    check_eq!(output.lines()[0], format!("CapEff:\t{ours:016x}"));
    check_eq!(output.lines()[1..], ["NoNewPrivs:\t0", "Seccomp:\t0", "writable"]);
    Ok(())
}

pub fn reaps(_: &Context, engine: &Client) -> Result<()> {
    let script = "ps -o comm | sed -n 2p; exit 6";
    let init = engine.run(&["--rm", "--init"]).args(["sh", "-c", script]).run()?.expect(6)?;
    check!(init.text().ends_with("-init"), "{init}");
    Ok(())
}

pub fn mounts(t: &Context, engine: &Client) -> Result<()> {
    fs::create_dir(t.path("volume"))?;
    fs::write(t.path("volume/file"), "data\n")?;
    let bind = format!("{}:/mnt:ro", t.path("volume").display());
    let flags = ["--volume", &bind, "--volume", "named:/named", "--shm-size", "8m"];
    let script =
        "cat /mnt/file; touch /mnt/x; touch /named/x && ls /named; df -k /dev/shm | tail -1";
    let output = engine.script(&flags, &format!("{{ {script}; }} 2>&1"))?;
    check_has!(output.stdout, "data\n", "Read-only file system", "\nx\n", "8192");
    check_eq!(engine.script(&["--volume", "named:/other"], "ls /other")?.text(), "x");
    Ok(())
}

/// A place to write in a root file system that is read-only.
pub fn mounts_tmpfs(_: &Context, engine: &Client) -> Result<()> {
    let flags = ["--read-only", "--tmpfs", "/home:size=1m"];
    let script = "touch /x; touch /home/x && echo made; df -k /home | tail -1";
    let output = engine.script(&flags, &format!("{{ {script}; }} 2>&1"))?;
    check_has!(output.stdout, "/x: Read-only file system", "made", "1024");
    Ok(())
}

pub fn shares_namespaces(_: &Context, engine: &Client) -> Result<()> {
    let ours = fs::read_link("/proc/self/ns/net")?.to_string_lossy().into_owned();
    let own = engine.script(&["--network", "none"], "readlink /proc/self/ns/net")?;
    check!(own.text() != ours, "{own}");
    let host = engine.script(&["--network", "host"], "readlink /proc/self/ns/net")?;
    check_eq!(host.text(), ours);
    engine.serve("one", &["--ipc", "shareable"])?;
    let shared = ["--network", "container:one", "--pid", "container:one", "--ipc", "container:one"];
    let script = "for it in net pid ipc; do
            [ $(readlink /proc/1/ns/$it) = $(readlink /proc/self/ns/$it) ] && echo $it
        done; ps -o args | grep -c 'echo [b]ye'";
    check_eq!(engine.script(&shared, script)?.lines(), ["net", "pid", "ipc", "1"]);
    engine.end("one")
}

pub fn counts_what_is_used(_: &Context, engine: &Client) -> Result<()> {
    engine.serve("it", &[])?;
    let used = engine.text(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "it"])?;
    check!(used.starts_with(|c: char| ('1'..='9').contains(&c)), "{used}");
    engine.end("it")
}

/// Builds an image, whose commands run in containers; `build` lacks only the directory.
pub fn builds(t: &Context, engine: &Client, build: &dyn Fn() -> Cmd) -> Result<()> {
    let directory = t.path("context");
    fs::create_dir(&directory)?;
    fs::write(directory.join("file"), "copied\n")?;
    let write = |steps: &str| {
        fs::write(directory.join("Dockerfile"), format!("FROM {IMAGE}\nCOPY file /\n{steps}"))
    };
    write("RUN cat /file > /copy && id -u >> /copy\nUSER 1000\nRUN id -u\nCMD cat /copy; id -u\n")?;
    let built = build().args(["--tag", "built"]).arg(&directory).succeed()?;
    check_has!(built.to_string(), "\n1000\n");
    let output = engine.command(&["run"]).args(&engine.run).args(["--rm", "built"]).succeed()?;
    check_eq!(output.lines(), ["copied", "0", "1000"]);
    write("RUN exit 3\n")?;
    let failed = build().args(["--tag", "failed"]).arg(&directory).run()?;
    check!(failed.code() != 0, "{failed}");
    check_has!(failed.stderr, "exit 3");
    Ok(())
}
