//! containerd, its shim `io.containerd.runc.v2` and its client ctr.

use std::fs;

use anyhow::Context as _;
use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Background, Cmd, Context, Output, Result, Test, Verdict, check, check_eq, check_has,
    eventually, need, tests,
};

use super::{IMAGE, SERVICE, forget, image, start_daemon, stop_daemon, uses_terminal};

pub const TESTS: &[Test] = tests![
    runs,
    gives_terminals,
    executes,
    pauses_and_ends,
    leaves_containers_alive,
    limits_and_confines,
    mounts_and_maps,
];

/// The daemon with all its files in the test's directory.
struct Containerd<'test> {
    t: &'test Context,
    daemon: Background,
    /// Its name for the containers of the test, and the cgroup of these.
    namespace: String,
}

impl<'test> Containerd<'test> {
    fn start(t: &'test Context) -> Result<Self> {
        let directory = t.path("containerd");
        fs::create_dir(&directory)?;
        let place = |name: &str| directory.join(name).to_string_lossy().into_owned();
        let configuration = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            place("root"),
            place("state"),
            place("socket")
        );
        fs::write(place("config.toml"), configuration)?;
        let it = Self { t, daemon: daemon(t)?, namespace: t.id() };
        let import = it.ctr(&["image", "import", "--snapshotter=native"]).arg(image(t)?);
        import.succeed()?;
        Ok(it)
    }

    fn ctr(&self, words: &[&str]) -> Cmd {
        ctr(self.t).args(["--namespace", &self.namespace]).args(words)
    }

    fn task(&self, words: &[&str]) -> Cmd {
        self.ctr(&[&["task"], words].concat())
    }

    /// Runs a container of the image; the command in it follows.
    fn run(&self, name: &str, flags: &[&str]) -> Cmd {
        let command = self.ctr(&["run", "--runtime=io.containerd.runc.v2", "--snapshotter=native"]);
        let command = command.arg("--runc-binary").arg(self.t.runtime().path());
        command.args(flags).args([IMAGE, name])
    }

    /// The output of a shell script in a container that is removed then.
    fn script(&self, flags: &[&str], script: &str) -> Result<Output> {
        self.run("it", &[flags, &["--rm"]].concat()).args(["sh", "-c", script]).succeed()
    }

    /// Starts a service in the background, and waits until it is up.
    fn serve(&self, flags: &[&str]) -> Result<()> {
        let log = self.t.path("log");
        let uri = format!("file://{}", log.display());
        let run = self.run("it", &[flags, &["--detach", "--log-uri", &uri]].concat());
        run.args(["sh", "-c", SERVICE]).succeed()?;
        eventually("the service", || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            Ok(log.contains("up").then_some(()))
        })
    }

    fn exec(&self, flags: &[&str]) -> Cmd {
        self.task(&["exec", "--exec-id", "one"]).args(flags).arg("it")
    }

    /// Its first process and its state, as the list of tasks has them.
    fn listed(&self) -> Result<(i32, String)> {
        let list = self.task(&["ls"]).succeed()?;
        let line = list.lines().into_iter().find(|line| line.starts_with("it "));
        let words: Vec<_> = line.context("the container's line")?.split_whitespace().collect();
        Ok((words[1].parse()?, words[2].to_owned()))
    }

    fn pid(&self) -> Result<i32> {
        Ok(self.listed()?.0)
    }

    fn state(&self) -> Result<String> {
        Ok(self.listed()?.1)
    }

    /// Ends the service and removes the container.
    fn end(&self) -> Result<()> {
        self.task(&["kill", "--signal", "TERM", "it"]).succeed()?;
        eventually("the end", || Ok((self.state()? == "STOPPED").then_some(())))?;
        let deleted = self.task(&["delete", "it"]).succeed()?;
        check_has!(deleted.stderr, "exit with non-zero exit code 9");
        self.ctr(&["container", "delete", "it"]).succeed().map(drop)
    }

    fn stop(self) -> Result<Verdict> {
        stop_daemon(self.daemon)?;
        forget(self.t, &self.namespace)?;
        Ok(Passed)
    }
}

fn daemon(t: &Context) -> Result<Background> {
    let command = Cmd::new("containerd").arg("--config").arg(t.path("containerd/config.toml"));
    start_daemon(command, || ctr(t).arg("version"))
}

fn ctr(t: &Context) -> Cmd {
    Cmd::new("ctr").arg("--address").arg(t.path("containerd/socket")).deadline(60)
}

fn drive(t: &Context, scenario: fn(&Containerd<'_>) -> Result<()>) -> Result<Verdict> {
    need!(t.host().has_program("containerd"), "no containerd");
    let containerd = Containerd::start(t)?;
    scenario(&containerd)?;
    containerd.stop()
}

fn runs(t: &mut Context) -> Result<Verdict> {
    drive(t, |containerd| {
        let run = || containerd.run("it", &["--rm"]);
        let script = "echo $FROM; echo error >&2; exit 7";
        let output = run().args(["sh", "-c", script]).run()?.expect(7)?;
        check_eq!(output.text(), "image");
        check_has!(output.stderr, "error");
        let output = run().arg("no-such").run()?.expect(1)?;
        output.says(&["OCI runtime create failed", "executable file not found in $PATH"])?;
        let output = run().arg("/etc/passwd").run()?.expect(1)?;
        check_has!(output.stderr.to_lowercase(), "/etc/passwd", "permission denied");
        let output = containerd.script(&["--env", "A=b", "--cwd", "/tmp"], "echo $A; pwd")?;
        check_eq!(output.lines(), ["b", "/tmp"]);
        let file = containerd.t.path("pid").to_string_lossy().into_owned();
        containerd.script(&["--pid-file", &file], "true")?;
        check!(fs::read_to_string(file)?.parse::<u32>().is_ok());
        Ok(())
    })
}

fn gives_terminals(t: &mut Context) -> Result<Verdict> {
    drive(t, |containerd| {
        uses_terminal(containerd.run("it", &["--rm", "--tty"]))?;
        containerd.serve(&[])?;
        uses_terminal(containerd.exec(&["--tty"]))?;
        containerd.end()
    })
}

fn executes(t: &mut Context) -> Result<Verdict> {
    drive(t, |containerd| {
        containerd.serve(&[])?;
        let script = "echo in $FROM; exit 4";
        let output = containerd.exec(&[]).args(["sh", "-c", script]).run()?.expect(4)?;
        check_eq!(output.text(), "in image");
        let exec = containerd.exec(&["--user", "1000", "--cwd", "/tmp"]);
        let output = exec.args(["sh", "-c", "id -u; pwd"]).succeed()?;
        check_eq!(output.lines(), ["1000", "/tmp"]);
        let output = containerd.exec(&[]).arg("no-such").run()?.expect(1)?;
        output.says(&["OCI runtime exec failed", "executable file not found in $PATH"])?;
        let fifos = containerd.t.path("fifos").to_string_lossy().into_owned();
        containerd.exec(&["--detach", "--fifo-dir", &fifos]).args(["sleep", "100"]).succeed()?;
        let processes = containerd.task(&["ps", "it"]).succeed()?;
        check!(processes.lines().len() > 2, "{processes}");
        check_has!(processes.stdout, "ExecID:one");
        containerd.task(&["kill", "--signal", "KILL", "--exec-id", "one", "it"]).succeed()?;
        eventually("the end of the second process", || {
            let processes = containerd.task(&["ps", "it"]).succeed()?;
            Ok((!processes.stdout.contains("ExecID")).then_some(()))
        })?;
        containerd.end()
    })
}

fn pauses_and_ends(t: &mut Context) -> Result<Verdict> {
    drive(t, |containerd| {
        containerd.serve(&[])?;
        check_eq!(containerd.state()?, "RUNNING");
        containerd.task(&["pause", "it"]).succeed()?;
        check_eq!(containerd.state()?, "PAUSED");
        containerd.task(&["resume", "it"]).succeed()?;
        check_eq!(containerd.state()?, "RUNNING");
        let metrics = containerd.task(&["metrics", "--format", "json", "it"]).succeed()?.json()?;
        check!(metrics["pids"]["current"].as_u64() > Some(0), "{metrics}");
        containerd.end()?;
        containerd.serve(&[])?;
        containerd.task(&["kill", "--all", "--signal", "KILL", "it"]).succeed()?;
        eventually("the end", || Ok((containerd.state()? == "STOPPED").then_some(())))?;
        let deleted = containerd.task(&["delete", "it"]).succeed()?;
        check_has!(deleted.stderr, "exit with non-zero exit code 137");
        containerd.ctr(&["container", "delete", "it"]).succeed().map(drop)
    })
}

/// A container outlives the daemon that started it.
fn leaves_containers_alive(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("containerd"), "no containerd");
    let mut containerd = Containerd::start(t)?;
    containerd.serve(&[])?;
    let started = containerd.listed()?;
    stop_daemon(containerd.daemon)?;
    containerd.daemon = daemon(t)?;
    check_eq!(containerd.listed()?, started);
    check_eq!(containerd.exec(&[]).args(["echo", "in"]).succeed()?.text(), "in");
    containerd.end()?;
    containerd.stop()
}

fn limits_and_confines(t: &mut Context) -> Result<Verdict> {
    drive(t, |containerd| {
        let flags =
            ["--memory-limit", "67108864", "--cpu-quota", "50000", "--cpu-period", "100000"];
        containerd.serve(&flags)?;
        let pid = containerd.pid()?;
        let limit = |controller, names| containerd.t.host().limit_of(pid, controller, names);
        check_eq!(limit("memory", ["memory.limit_in_bytes", "memory.max"])?, "67108864");
        check!(limit("cpu", ["cpu.cfs_quota_us", "cpu.max"])?.starts_with("50000"));
        containerd.end()?;
        let rights = "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status";
        let flags = ["--seccomp", "--cap-add", "CAP_SYS_ADMIN", "--cap-drop", "CAP_CHOWN"];
        let output = containerd.script(&flags, rights)?;
        check_eq!(output.lines(), ["CapEff:\t00000000a82425fa", "NoNewPrivs:\t1", "Seccomp:\t2"]);
        let output = containerd.script(&["--privileged", "--allow-new-privs"], rights)?;
        check_has!(output.stdout, "NoNewPrivs:\t0", "Seccomp:\t0");
        let output = containerd.script(&["--read-only"], "touch /x 2>&1; true")?;
        check_has!(output.stdout, "Read-only file system");
        let output =
            containerd.script(&["--device", "/dev/full"], "echo > /dev/full 2>&1; true")?;
        check_eq!(output.code(), 0);
        Ok(())
    })
}

fn mounts_and_maps(t: &mut Context) -> Result<Verdict> {
    drive(t, |containerd| {
        let source = containerd.t.path("volume");
        fs::create_dir(&source)?;
        fs::write(source.join("file"), "data")?;
        let mount = format!("type=bind,src={},dst=/mnt,options=rbind:ro", source.display());
        let script = "cat /mnt/file; touch /mnt/x 2>&1; true";
        let output = containerd.script(&["--mount", &mount], script)?;
        check_has!(output.stdout, "data", "Read-only file system");
        let ours = fs::read_link("/proc/self/ns/net")?.to_string_lossy().into_owned();
        let link = "readlink /proc/self/ns/net";
        check_eq!(containerd.script(&["--net-host"], link)?.text(), ours);
        let other = format!("network:/proc/{}/ns/net", std::process::id());
        check_eq!(containerd.script(&["--with-ns", &other], link)?.text(), ours);
        let flags = ["--uidmap", "0:100000:2000", "--gidmap", "0:200000:2000"];
        let script = "cat /proc/self/uid_map; touch /new && ls -ln /new";
        let output = containerd.script(&flags, script)?;
        let words: Vec<_> = output.stdout.split_whitespace().collect();
        check_eq!(words[..3], ["0", "100000", "2000"]);
        check_eq!(words[5..7], ["0", "0"]);
        Ok(())
    })
}
