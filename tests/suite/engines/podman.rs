//! podman, which calls the runtime through conmon.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check_eq, check_has, need, tests};

use super::client::Client;
use super::scenarios::{self, Scenario};
use super::{forget, home, image, wait_for_end_of};

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
    mounts_tmpfs,
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
         [engine.runtimes]\ntested = [\"{runtime}\"]\n"
    );
    fs::write(t.path("containers.conf"), configuration)?;
    let mut words = vec!["podman".into(), "--storage-driver=vfs".into()];
    for (flag, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
        words.extend([flag.into(), home(t).join(name).into()]);
    }
    let env = [("CONTAINERS_CONF", t.path("containers.conf").into()), ("HOME", home(t).into())];
    Ok(Client { words, env: env.into(), run })
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
    drive(t, &[scenarios::limits, scenarios::confines])
}

fn updates(t: &mut Context) -> Result<Verdict> {
    need!(scenarios::can_update(t)?, "the runtime has no update");
    drive(t, &[scenarios::updates])
}

fn mounts(t: &mut Context) -> Result<Verdict> {
    drive(
        t,
        &[
            scenarios::mounts,
            // A root file system of the user's own, and one under an overlay.
            |t, podman| {
                let bundle = t.bundle()?;
                let volume = format!("{}:/mnt", t.path("volume").display());
                let run =
                    || podman.command(&["run", "--rm", "--volume", &volume]).args(&podman.run);
                let script = ["sh", "-c", "cat /mnt/file; touch /tmp/made"];
                let over = format!("{}:O", bundle.rootfs().display());
                check_eq!(run().args(["--rootfs", &over]).args(script).succeed()?.text(), "data");
                check_eq!(bundle.rootfs().join("tmp/made").exists(), false);
                let output = run().arg("--rootfs").arg(bundle.rootfs()).args(script).succeed()?;
                check_eq!(output.text(), "data");
                check_eq!(bundle.rootfs().join("tmp/made").exists(), true);
                Ok(())
            },
        ],
    )
}

fn mounts_tmpfs(t: &mut Context) -> Result<Verdict> {
    need!(scenarios::can_copy_up(t)?, "the runtime has no tmpcopyup");
    drive(t, &[scenarios::mounts_tmpfs])
}

fn shares_namespaces(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::shares_namespaces])
}

fn creates_before_it_starts(t: &mut Context) -> Result<Verdict> {
    drive(
        t,
        &[|_, podman| {
            let create = podman.command(&["create", "--name", "it"]).args(&podman.run);
            create.args([super::IMAGE, "echo", "started"]).succeed()?;
            podman.text(&["init", "it"])?;
            check_eq!(podman.inspect("it", ".State.Status")?, "initialized");
            check_eq!(podman.text(&["start", "--attach", "it"])?, "started");
            podman.text(&["rm", "it"]).map(drop)
        }],
    )
}

fn checks_health(t: &mut Context) -> Result<Verdict> {
    drive(
        t,
        &[|_, podman| {
            let flags = ["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"];
            podman.serve("it", &flags)?;
            podman.command(&["healthcheck", "run", "it"]).run()?.expect(1)?;
            podman.exec("it", &[], "touch /tmp/well")?.expect(0)?;
            podman.command(&["healthcheck", "run", "it"]).succeed()?;
            podman.end("it")
        }],
    )
}

/// The containers of a pod are in the namespaces of its first one.
fn makes_pods(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("catatonit"), "no catatonit, which makes podman's pods");
    drive(
        t,
        &[|_, podman| {
            let pod = |words: &[&str]| podman.command(&[&["pod"], words].concat());
            let create = pod(&["create", "--name", "pod", "--share", "net,ipc,uts,pid"]);
            create.args(["--hostname", "vessel"]).args(&podman.run).succeed()?;
            podman.serve("it", &["--pod", "pod"])?;
            let script = "hostname; ps -o args | sed -n 2p; ps -o args | grep -c 'echo [b]ye'";
            let output = podman.script(&["--pod", "pod"], script)?;
            check_eq!(output.lines()[0], "vessel");
            check_has!(output.lines()[1], "catatonit");
            check_eq!(output.lines()[2], "1");
            pod(&["pause", "pod"]).succeed()?;
            check_eq!(podman.inspect("it", ".State.Status")?, "paused");
            pod(&["unpause", "pod"]).succeed()?;
            pod(&["stop", "pod"]).succeed()?;
            // Its first container may end first, and with it the pid namespace.
            check_eq!(podman.inspect("it", ".State.Status")?, "exited");
            pod(&["start", "pod"]).succeed()?;
            check_eq!(podman.exec("it", &[], "hostname")?.expect(0)?.text(), "vessel");
            pod(&["rm", "--force", "pod"]).succeed().map(drop)
        }],
    )
}

fn builds(t: &mut Context) -> Result<Verdict> {
    drive(
        t,
        &[|t, podman| {
            let build = || podman.command(&["build", "--isolation=oci", "--network=none"]);
            scenarios::builds(t, podman, &|| build().args(&podman.run))
        }],
    )
}

fn maps_users(t: &mut Context) -> Result<Verdict> {
    drive(
        t,
        &[|_, podman| {
            let flags = ["--uidmap", "0:100000:2000", "--gidmap", "0:200000:2000"];
            let script = "cat /proc/self/uid_map /proc/self/gid_map; touch /new && ls -ln /new";
            let output = podman.script(&flags, script)?;
            let words: Vec<_> = output.stdout.split_whitespace().collect();
            check_eq!(words[..6], ["0", "100000", "2000", "0", "200000", "2000"]);
            check_eq!(words[8..10], ["0", "0"]);
            Ok(())
        }],
    )
}
