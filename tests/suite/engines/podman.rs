//! podman, which calls the runtime through conmon.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, check_has, need, tests};

use super::client::Client;
use super::scenarios::{self, Scenario};
use super::{IMAGE, forget, home, image, wait_for_end_of};

pub const TESTS: &[Test] = tests![
    runs,
    gives_terminals,
    executes,
    stops_and_starts,
    restarts_after_failures,
    pauses,
    limits_and_confines,
    gives_an_init,
    updates,
    mounts,
    shares_namespaces,
    creates_before_it_starts,
    checks_health,
    makes_pods,
    builds,
    maps_users,
];

/// podman with all its files in the test's directory.
pub fn client(t: &Context, run: Vec<String>) -> Result<Client> {
    let runtime = t.runtime().path().display();
    // Root may not raise limits everywhere, and podman raises these if it is not told otherwise.
    let configuration = format!(
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1000:1000\"]\n\
         netns = \"none\"\n\
         [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nruntime = \"tested\"\n\
         runtime_supports_json = [\"tested\"]\n\
         [engine.runtimes]\ntested = [\"{runtime}\"]\n"
    );
    fs::write(t.path("containers.conf"), configuration)?;
    let mut words = vec!["podman".into(), "--storage-driver=vfs".into()];
    for (flag, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
        words.extend([flag.into(), home(t).join(name).into()]);
    }
    let env = [("CONTAINERS_CONF", t.path("containers.conf").into()), ("HOME", home(t).into())];
    Ok(Client { words, env: env.into(), directory: t.path(""), run })
}

fn drive(t: &Context, scenarios: &[Scenario]) -> Result<Verdict> {
    need!(t.host().has_program("podman"), "no podman");
    let cgroup = t.id();
    let podman = client(t, vec![format!("--cgroup-parent=/{cgroup}")])?;
    podman.command(&["load", "--quiet", "--input"]).arg(image(t)?).succeed()?;
    for scenario in scenarios {
        scenario(t, &podman)?;
    }
    wait_for_end_of(&["podman", "conmon"])?;
    forget(t, &cgroup)?;
    Ok(Passed)
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
    drive(t, &[scenarios::limits, scenarios::confines, scenarios::is_privileged])
}

fn gives_an_init(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("catatonit"), "no catatonit, which is podman's init");
    drive(t, &[scenarios::reaps])
}

fn updates(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::updates])
}

fn mounts(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::mounts, scenarios::mounts_tmpfs, copies_to_tmpfs, runs_on_other_roots])
}

/// podman shows in a tmpfs what it covers.
pub fn copies_to_tmpfs(_: &Context, podman: &Client) -> Result<()> {
    let output = podman.script(&["--tmpfs", "/etc"], "grep ^user: /etc/passwd; touch /etc/new")?;
    check_eq!(output.text(), "user:x:1000:1000:user:/home/user:/bin/sh");
    Ok(())
}

/// A root file system that is no image's, and one with an overlay on it.
fn runs_on_other_roots(t: &Context, podman: &Client) -> Result<()> {
    let root = t.bundle()?.rootfs();
    let volume = format!("{}:/mnt", t.path("volume").display());
    let run = |root: &str| {
        let command = podman.command(&["run", "--rm", "--volume", &volume]).args(&podman.run);
        let command = command.args(["--rootfs", root, "sh", "-c"]);
        command.arg("cat /mnt/file; touch /tmp/made").succeed()
    };
    check_eq!(run(&format!("{}:O", root.display()))?.text(), "data");
    check!(!root.join("tmp/made").exists());
    check_eq!(run(&root.to_string_lossy())?.text(), "data");
    check!(root.join("tmp/made").exists());
    Ok(())
}

fn shares_namespaces(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::shares_namespaces])
}

fn creates_before_it_starts(t: &mut Context) -> Result<Verdict> {
    drive(t, &[creates])
}

fn creates(_: &Context, podman: &Client) -> Result<()> {
    let create = podman.command(&["create", "--name", "it"]).args(&podman.run);
    create.args([IMAGE, "echo", "started"]).succeed()?;
    podman.text(&["init", "it"])?;
    check_eq!(podman.inspect("it", ".State.Status")?, "initialized");
    check_eq!(podman.text(&["start", "--attach", "it"])?, "started");
    podman.text(&["rm", "it"]).map(drop)
}

fn checks_health(t: &mut Context) -> Result<Verdict> {
    drive(t, &[becomes_well])
}

fn becomes_well(_: &Context, podman: &Client) -> Result<()> {
    let flags = ["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"];
    podman.serve("it", &flags)?;
    podman.command(&["healthcheck", "run", "it"]).run()?.expect(1)?;
    podman.exec("it", &[], "touch /tmp/well")?.expect(0)?;
    podman.command(&["healthcheck", "run", "it"]).succeed()?;
    podman.end("it")
}

fn makes_pods(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("catatonit"), "no catatonit, which makes podman's pods");
    drive(t, &[fills_pod])
}

/// The containers of a pod are in the namespaces of its first one. They stay out of its cgroup, where
/// podman 4.3 denies all devices on v2, whatever the runtime.
fn fills_pod(_: &Context, podman: &Client) -> Result<()> {
    let create = podman.command(&["pod", "create", "--name", "pod", "--hostname", "vessel"]);
    let create = create.args(["--share", "net,ipc,uts,pid", "--share-parent=false"]);
    create.args(&podman.run).succeed()?;
    podman.serve("it", &["--pod", "pod"])?;
    let script = "hostname; ps -o args | sed -n 2p; ps -o args | grep -c 'echo [b]ye'";
    let output = podman.script(&["--pod", "pod"], script)?;
    check_eq!(output.lines()[0], "vessel");
    check_has!(output.lines()[1], "catatonit");
    check_eq!(output.lines()[2], "1");
    podman.text(&["pod", "pause", "pod"])?;
    check_eq!(podman.inspect("it", ".State.Status")?, "paused");
    podman.text(&["pod", "unpause", "pod"])?;
    podman.text(&["pod", "stop", "pod"])?;
    check_eq!(podman.text(&["ps", "--quiet"])?, "");
    podman.text(&["pod", "start", "pod"])?;
    check_eq!(podman.exec("it", &[], "hostname")?.expect(0)?.text(), "vessel");
    podman.text(&["pod", "rm", "--force", "pod"]).map(drop)
}

fn builds(t: &mut Context) -> Result<Verdict> {
    drive(t, &[builds_images])
}

pub fn builds_images(t: &Context, podman: &Client) -> Result<()> {
    let build = || podman.command(&["build", "--isolation=oci", "--network=none"]);
    scenarios::builds(t, podman, &|| build().args(&podman.run))
}

fn maps_users(t: &mut Context) -> Result<Verdict> {
    drive(t, &[maps_ids])
}

fn maps_ids(_: &Context, podman: &Client) -> Result<()> {
    let flags = ["--uidmap", "0:100000:2000", "--gidmap", "0:200000:2000"];
    let script = "cat /proc/self/uid_map /proc/self/gid_map; touch /new && ls -ln /new";
    let output = podman.script(&flags, script)?;
    let words: Vec<_> = output.stdout.split_whitespace().collect();
    check_eq!(words[..6], ["0", "100000", "2000", "0", "200000", "2000"]);
    check_eq!(words[8..10], ["0", "0"]);
    Ok(())
}
