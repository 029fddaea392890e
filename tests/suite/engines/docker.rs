//! Docker: dockerd, which starts a containerd, and its client.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Background, Cmd, Context, Result, Test, Verdict, check_eq, check_has, eventually, need, tests,
};

use super::client::Client;
use super::scenarios::{self, Scenario};
use super::{forget, image, start_daemon, stop_daemon};

pub const TESTS: &[Test] = tests![
    runs,
    gives_terminals,
    executes,
    stops_and_starts,
    restarts_after_failures,
    pauses,
    limits_and_confines,
    updates,
    mounts,
    shares_namespaces,
    watches_health,
    builds,
    leaves_containers_alive,
    maps_users,
];

/// The daemon with all its files in the test's directory.
struct Docker<'test> {
    t: &'test Context,
    daemon: Background,
    client: Client,
    cgroup: String,
}

impl<'test> Docker<'test> {
    fn start(t: &'test Context, flags: &[&str]) -> Result<Self> {
        let cgroup = t.id();
        fs::create_dir(t.path("docker"))?;
        fs::write(t.path("docker/daemon.json"), "{}")?;
        fs::write(t.path("docker/ids"), "nobody:100000:65536\nnogroup:100000:65536\n")?;
        let address = format!("unix://{}", t.path("docker/socket").display());
        let env = [
            ("DOCKER_HOST", address.into()),
            ("DOCKER_CONFIG", t.path("docker/client").into()),
            ("DOCKER_BUILDKIT", "0".into()),
        ];
        let (words, directory) = (vec!["docker".into()], t.path("docker"));
        let client = Client { words, env: env.into(), directory, run: Vec::new() };
        let daemon = start_daemon(daemon(t, &cgroup, flags), || client.command(&["version"]))?;
        client.command(&["load", "--input"]).arg(image(t)?).succeed()?;
        Ok(Self { t, daemon, client, cgroup })
    }

    fn stop(self) -> Result<Verdict> {
        stop_daemon(self.daemon)?;
        forget(self.t, &self.cgroup)?;
        Ok(Passed)
    }
}

/// It has mounts of its own: it keeps one of a network namespace, writes a key to /etc/docker, and reads
/// which ids may be mapped.
fn daemon(t: &Context, cgroup: &str, flags: &[&str]) -> Cmd {
    let runtime = format!("tested={}", t.runtime().path().display());
    let command = Cmd::new("dockerd").args(["--add-runtime", &runtime, "--default-runtime=tested"]);
    let command = command.arg("--data-root").arg(t.path("docker/data"));
    let command = command.arg("--exec-root").arg(t.path("docker/exec"));
    let command = command.arg("--pidfile").arg(t.path("docker/pid"));
    let command = command.arg("--config-file").arg(t.path("docker/daemon.json"));
    let command =
        command.arg("--host").arg(format!("unix://{}", t.path("docker/socket").display()));
    let command = command.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
    let command = command.args(["--storage-driver=vfs", "--cgroup-parent", &format!("/{cgroup}")]);
    let own = "cd \"$1\"; shift; mount -t tmpfs docker /etc/docker
        for it in subuid subgid; do mount --bind ids /etc/$it; done; exec \"$@\"";
    let command = command.args(flags).through([t.path("docker")]);
    command.through(["unshare", "--mount", "sh", "-ec", own, "sh"]).deadline(60)
}

fn drive(t: &Context, scenarios: &[Scenario]) -> Result<Verdict> {
    need!(t.host().has_program("dockerd"), "no dockerd");
    let docker = Docker::start(t, &[])?;
    for scenario in scenarios {
        scenario(t, &docker.client)?;
    }
    docker.stop()
}

fn runs(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::runs, scenarios::says_what_it_cannot_run])
}

fn gives_terminals(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::gives_terminals])
}

fn executes(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::executes])
}

fn stops_and_starts(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::stops_and_starts])
}

fn restarts_after_failures(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::restarts_after_failures])
}

fn pauses(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::pauses, scenarios::counts_what_is_used])
}

fn limits_and_confines(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::limits, scenarios::confines, scenarios::reaps])
}

fn updates(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::updates])
}

fn mounts(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::mounts, scenarios::mounts_tmpfs])
}

fn shares_namespaces(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::shares_namespaces])
}

fn watches_health(t: &mut Context) -> Result<Verdict> {
    drive(t, &[becomes_well])
}

fn becomes_well(_: &Context, docker: &Client) -> Result<()> {
    let flags = ["--health-cmd", "test -e /tmp/well", "--health-interval", "100ms"];
    docker.serve("it", &[&flags[..], &["--health-retries", "1"]].concat())?;
    let becomes = |state: &str| {
        let seen = || docker.inspect("it", ".State.Health.Status");
        eventually(state, || Ok((seen()? == state).then_some(())))
    };
    becomes("unhealthy")?;
    docker.exec("it", &[], "touch /tmp/well")?.expect(0)?;
    becomes("healthy")?;
    docker.end("it")
}

fn builds(t: &mut Context) -> Result<Verdict> {
    drive(t, &[builds_images])
}

fn builds_images(t: &Context, docker: &Client) -> Result<()> {
    scenarios::builds(t, docker, &|| docker.command(&["build", "--network", "none"]))
}

/// A container outlives the daemon that started it.
fn leaves_containers_alive(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("dockerd"), "no dockerd");
    let mut docker = Docker::start(t, &["--live-restore"])?;
    docker.client.serve("it", &[])?;
    let started = docker.client.inspect("it", ".State.Pid")?;
    stop_daemon(docker.daemon)?;
    let again = daemon(t, &docker.cgroup, &["--live-restore"]);
    docker.daemon = start_daemon(again, || docker.client.command(&["version"]))?;
    check_eq!(docker.client.inspect("it", ".State.Pid")?, started);
    check_eq!(docker.client.exec("it", &[], "echo in")?.expect(0)?.text(), "in");
    docker.client.text(&["stop", "it"])?;
    check_eq!(docker.client.inspect("it", ".State.ExitCode")?, "9");
    docker.client.text(&["rm", "it"])?;
    docker.stop()
}

/// Root of the containers is an ordinary user of the host.
fn maps_users(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("dockerd"), "no dockerd");
    let docker = Docker::start(t, &["--userns-remap=nobody:nogroup"])?;
    let script = "cat /proc/self/uid_map; touch /new && ls -ln /new; touch /named/new; id -u";
    let output = docker.client.script(&["--volume", "named:/named"], script)?;
    let map: Vec<_> = output.lines()[0].split_whitespace().collect();
    check_eq!(map, ["0", "100000", "65536"]);
    check_has!(output.stdout, "1 0        0 ", "\n0\n");
    docker.client.serve("it", &[])?;
    check_eq!(docker.client.exec("it", &["--user", "1000"], "id -u")?.expect(0)?.text(), "1000");
    docker.client.end("it")?;
    docker.stop()
}
