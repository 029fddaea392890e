//! Root file systems and configurations that others make: Debian, OCI images, podman.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Context, Result, Suite, Test, Verdict, check, check_eq, check_has, eventually,
    need, tests,
};

use crate::engines;

pub fn add_to(suite: Suite) -> Suite {
    suite.group("real_roots", TESTS)
}

const TESTS: &[Test] = tests![
    runs_debian,
    runs_debian_as_a_user,
    runs_an_image_that_umoci_unpacked,
    serves_podman,
    serves_podman_in_the_background,
    serves_podman_on_a_terminal,
];

/// Debian's essential packages; made once, and kept for the next run.
fn debian(t: &Context) -> Result<Result<PathBuf, String>> {
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home);
    let Some(cache) = cache else { return Ok(Err("no HOME".to_owned())) };
    let root = cache.join("coracle-tests/debian-bookworm");
    if root.is_dir() {
        return Ok(Ok(root));
    }
    if !t.host().has_program("mmdebstrap") {
        return Ok(Err("no mmdebstrap".to_owned()));
    }
    let unfinished = root.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    let options = ["--quiet", "--mode=root", "--variant=essential", "bookworm"];
    let made = Cmd::new("mmdebstrap").args(options).arg(&unfinished).deadline(300).run()?;
    if made.code() != 0 {
        let reason = made.stderr.lines().last().unwrap_or_default();
        return Ok(Err(format!("mmdebstrap cannot make it: {reason}")));
    }
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755))?;
    // mount(8), which it used, leaves an empty directory.
    if Path::new("/run/mount").is_dir() {
        fs::remove_dir_all("/run/mount")?;
    }
    fs::rename(&unfinished, &root)?;
    Ok(Ok(root))
}

fn debian_bundle(t: &Context) -> Result<Result<Bundle, String>> {
    let root = debian(t)?;
    let bundle = t.bundle()?;
    Ok(root.map(|root| bundle.set("/root/path", root.to_string_lossy().into_owned())))
}

fn runs_debian(t: &mut Context) -> Result<Verdict> {
    let bundle = match debian_bundle(t)? {
        Ok(bundle) => bundle,
        Err(reason) => return Ok(Verdict::Skipped(reason)),
    };
    let run = |args: &[&str]| t.run(&bundle.clone().args(args))?.expect(0);
    check!(run(&["cat", "/etc/debian_version"])?.text().starts_with("12"));
    check_eq!(run(&["id"])?.text(), "uid=0(root) gid=0(root) groups=0(root)");
    let listed = run(&["ls", "/"])?;
    for name in ["bin", "dev", "etc", "proc", "sys", "usr", "var"] {
        check!(listed.lines().contains(&name), "{listed}");
    }
    check_eq!(run(&["bash", "-c", "echo $HOME $BASH"])?.text(), "/root /usr/bin/bash");
    check_eq!(run(&["perl", "-e", "print 6 * 7"])?.stdout, "42");
    check_has!(run(&["dpkg", "--status", "base-files"])?.stdout, "Status: install ok installed");
    check_has!(run(&["findmnt", "-n", "-o", "OPTIONS", "/"])?.stdout, "ro");
    Ok(Passed)
}

fn runs_debian_as_a_user(t: &mut Context) -> Result<Verdict> {
    let bundle = match debian_bundle(t)? {
        Ok(bundle) => bundle.mount("/tmp", "tmpfs", "tmpfs", &["nosuid", "nodev"]),
        Err(reason) => return Ok(Verdict::Skipped(reason)),
    };
    let bundle = bundle.set("/process/user/uid", 33).set("/process/user/gid", 33);
    let script =
        "id -un; echo $HOME; : > /tmp/file && stat -c %U:%G /tmp/file; su -c true 2>&1 | head -1";
    let output = t.run(&bundle.args(&["bash", "-c", script]))?.expect(0)?;
    check_eq!(output.lines()[..3], ["www-data", "/var/www", "www-data:www-data"]);
    Ok(Passed)
}

fn runs_an_image_that_umoci_unpacked(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("umoci"), "no umoci");
    let umoci = |words: &[&str]| {
        let path =
            |word: &&str| t.path(word.trim_start_matches('@')).to_string_lossy().into_owned();
        let words = words
            .iter()
            .map(|word| if word.starts_with('@') { path(word) } else { (*word).to_owned() });
        Cmd::new("umoci").args(words).deadline(60).succeed()
    };
    let image = t.path("image").to_string_lossy().into_owned();
    let tagged = format!("{image}:latest");
    umoci(&["init", "--layout", "@image"])?;
    umoci(&["new", "--image", &tagged])?;
    umoci(&["unpack", "--image", &tagged, "@empty"])?;
    let busybox = t.bundle()?;
    fs::remove_dir(t.path("empty/rootfs"))?;
    fs::rename(busybox.rootfs(), t.path("empty/rootfs"))?;
    umoci(&["repack", "--image", &tagged, "@empty"])?;
    umoci(&[
        "config",
        "--image",
        &tagged,
        "--config.cmd=/bin/sh",
        "--config.env=FROM=image",
        "--config.user=1000",
    ])?;
    umoci(&["config", "--image", &tagged, "--config.workingdir=/home/user"])?;
    umoci(&["unpack", "--image", &tagged, "@bundle"])?;
    let bundle = Bundle::open(&t.path("bundle"))?;
    let bundle = bundle.script("echo $FROM; pwd; id -u; ls /bin/busybox");
    let output = t.run(&bundle)?.expect(0)?;
    check_eq!(output.lines(), ["image", "/home/user", "1000", "/bin/busybox"]);
    Ok(Passed)
}

/// podman with all its files in the test's directory.
fn podman(t: &Context) -> Cmd {
    let place = |name: &str| t.path(&format!("podman-{name}"));
    let command = Cmd::new("podman").arg("--runtime").arg(t.runtime().path());
    let command = command.args(["--cgroup-manager=cgroupfs", "--events-backend=none"]);
    let command = command.args(["--storage-driver=vfs", "--root"]).arg(place("root"));
    let command = command.arg("--runroot").arg(place("run")).arg("--tmpdir").arg(place("tmp"));
    command.env("HOME", t.path("")).deadline(60)
}

/// What a container of podman needs on a host whose root may not raise limits.
fn podman_run(t: &Context, parent: &str, flags: &[&str]) -> Result<Cmd> {
    let command = podman(t).args(["run", "--network=none", "--cgroup-parent", parent]);
    let command = command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]);
    Ok(command.args(flags).arg("--rootfs").arg(t.bundle()?.rootfs()))
}

/// Removes what podman keeps when no container is left. It cleans up after its containers by itself, later.
fn forget_podman(t: &Context, parent: &str) -> Result<()> {
    engines::wait_for_end_of(&["podman", "conmon"])?;
    engines::forget(t, parent.trim_start_matches('/'))
}

fn serves_podman(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("podman"), "no podman");
    let parent = format!("/{}", t.id());
    let run = podman_run(t, &parent, &["--rm", "--hostname", "vessel", "--env", "A=b"])?;
    let output = run.args(["sh", "-c", "echo $A; hostname; id -u; exit 5"]).run()?.expect(5)?;
    check_eq!(output.lines(), ["b", "vessel", "0"]);
    let limited =
        podman_run(t, &parent, &["--rm", "--pids-limit=33", "--memory=64m", "--user=1000"])?;
    let script = "id -u; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null";
    let output = limited.args(["sh", "-c", script]).run()?;
    check_eq!(output.lines(), ["1000", "33"]);
    // What is missing in the image podman tells by the runtime's words.
    podman_run(t, &parent, &["--rm"])?.arg("/no/such").run()?.expect(127)?;
    podman_run(t, &parent, &["--rm"])?.arg("/etc/passwd").run()?.expect(126)?;
    forget_podman(t, &parent)?;
    Ok(Passed)
}

fn serves_podman_in_the_background(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("podman"), "no podman");
    let parent = format!("/{}", t.id());
    let command =
        ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"];
    podman_run(t, &parent, &["--detach", "--name=it"])?.args(command).succeed()?;
    eventually("the log", || {
        let logs = podman(t).args(["logs", "it"]).succeed()?;
        Ok(logs.stdout.contains("ready").then_some(()))
    })?;
    let shown = ["inspect", "--format", "{{.State.Status}}", "it"];
    check_eq!(podman(t).args(shown).succeed()?.text(), "running");
    podman(t).args(["stop", "it"]).succeed()?;
    check_has!(podman(t).args(["logs", "it"]).succeed()?.stdout, "bye");
    podman(t).args(["start", "it"]).succeed()?;
    podman(t).args(["kill", "--signal", "KILL", "it"]).succeed()?;
    check_eq!(podman(t).args(["wait", "it"]).succeed()?.text(), "137");
    podman(t).args(["rm", "it"]).succeed()?;
    forget_podman(t, &parent)?;
    Ok(Passed)
}

fn serves_podman_on_a_terminal(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("podman"), "no podman");
    let parent = format!("/{}", t.id());
    let command = podman_run(t, &parent, &["--rm", "--tty", "--interactive"])?;
    let command = command.args(["sh", "-c", "tty; read line; echo \"got $line\"; exit 3"]);
    let mut session = coracle_testkit::TerminalSession::start(command, 24, 80)?;
    session.wait_for("/dev/pts/0")?;
    session.send("hello\n")?;
    session.wait_for("got hello")?;
    session.finish()?.0.expect(3)?;
    forget_podman(t, &parent)?;
    Ok(Passed)
}
