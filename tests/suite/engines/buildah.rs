//! buildah, which calls the runtime itself.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, check_has, need, tests};

use super::client::Client;
use super::{forget, home, types_at};

pub const TESTS: &[Test] = tests![runs, builds];

/// buildah with all its files in the test's directory.
pub fn client(t: &Context) -> Client {
    let mut words = vec!["buildah".into(), "--storage-driver=vfs".into()];
    for (flag, name) in [("--root", "root"), ("--runroot", "run")] {
        words.extend([flag.into(), home(t).join(name).into()]);
    }
    let runtime = t.runtime().path().to_string_lossy().into_owned();
    let run = ["--isolation=oci", "--network=none", "--runtime", &runtime].map(str::to_owned);
    Client { words, env: vec![("HOME", home(t).into())], directory: t.path(""), run: run.into() }
}

fn runs(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("buildah"), "no buildah");
    let cgroup = t.id();
    runs_with(t, &client(t), &[&format!("--cgroup-parent=/{cgroup}")])?;
    forget(t, &cgroup)?;
    Ok(Passed)
}

/// Makes a container from nothing, and runs commands in it.
pub fn runs_with(t: &Context, buildah: &Client, flags: &[&str]) -> Result<()> {
    let container = buildah.text(&[&["from"], flags, &["scratch"]].concat())?;
    let rootfs = t.bundle()?.rootfs();
    buildah.command(&["copy", &container]).arg(rootfs).arg("/").succeed()?;
    buildah.text(&["config", "--env", "FROM=image", "--workingdir", "/tmp", &container])?;
    uses(t, buildah, &container)?;
    buildah.text(&["rm", &container]).map(drop)
}

fn uses(t: &Context, buildah: &Client, container: &str) -> Result<()> {
    let run = |flags: &[&str]| {
        buildah.command(&["run"]).args(&buildah.run).args(flags).args(["--", container])
    };
    let script = "echo $FROM; pwd; echo error >&2; exit 4";
    let output = run(&[]).args(["sh", "-c", script]).run()?.expect(4)?;
    check_eq!(output.lines(), ["image", "/tmp"]);
    check_has!(output.stderr, "error");
    run(&[]).args(["sh", "-c", "echo made > /made"]).succeed()?;
    let volume = format!("{}:/mnt:ro", t.path("volume").display());
    fs::create_dir(t.path("volume"))?;
    fs::write(t.path("volume/file"), "data\n")?;
    let flags = ["--hostname", "vessel", "--user", "1000", "--volume", &volume];
    let script = "hostname; id -u; cat /mnt/file /made; grep CapEff /proc/self/status";
    let output = run(&flags).args(["sh", "-c", script]).succeed()?;
    check_eq!(output.lines(), ["vessel", "1000", "data", "made", "CapEff:\t0000000000000000"]);
    let output = run(&[]).arg("no-such").run()?;
    check!(output.code() != 0, "{output}");
    check_has!(output.stderr, "no-such", "executable file not found in $PATH");
    // buildah does not tell the container of a new size.
    types_at(run(&["--terminal"]), "exit 3")?.finish()?.0.expect(3).map(drop)
}

fn builds(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("buildah"), "no buildah");
    let cgroup = t.id();
    builds_with(t, &client(t), &[&format!("--cgroup-parent=/{cgroup}"), "--memory=64m"])?;
    forget(t, &cgroup)?;
    Ok(Passed)
}

/// Builds an image whose commands run in containers.
pub fn builds_with(t: &Context, buildah: &Client, flags: &[&str]) -> Result<()> {
    let directory = t.path("context");
    fs::create_dir(&directory)?;
    fs::rename(t.bundle()?.rootfs(), directory.join("rootfs"))?;
    let build = |steps: &str| {
        let head = "FROM scratch\nCOPY rootfs /\nENV PATH=/bin\n";
        fs::write(directory.join("Dockerfile"), format!("{head}{steps}"))?;
        let command = buildah.command(&["bud", "--tag", "built"]).args(&buildah.run);
        command.args(flags).arg(&directory).run()
    };
    let steps =
        "RUN id -u > /ids\nUSER 1000\nRUN --mount=type=tmpfs,target=/mnt mount | grep /mnt\n";
    let built = build(&format!("{steps}RUN cat /ids; id -u; ls /mnt; echo end\n"))?.expect(0)?;
    check_has!(built.stdout, "tmpfs on /mnt", "\n0\n1000\nend\n");
    let failed = build("RUN exit 3\n")?.expect(3)?;
    check_has!(failed.stderr, "exit 3");
    Ok(())
}
