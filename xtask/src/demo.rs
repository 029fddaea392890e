//! `cargo xtask demo`: a first container, from nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{self, ExitCode};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{Command, build, host, packages, setup};

pub const COMMAND: Command = Command {
    name: "demo",
    about: "Builds coracle, makes a bundle and runs a container that shows itself.",
    help: "
usage: cargo xtask demo

Installs what is needed, makes a bundle with busybox under target/demo and runs it. Needs root.
",
    run,
};

/// What the container shows of itself.
const SCRIPT: &str = "
echo \"my pid:      $$\"
echo \"my hostname: $(hostname)\"
echo 'my mounts:'; mount | sed 's/^/    /'
echo 'my limits:'; ulimit -a | sed 's/^/    /'
for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes \\
    /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max; do
    [ -e $file ] && echo \"    $file: $(cat $file)\"
done
exit 0
";

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    if let Some(arg) = args.next()? {
        return Err(arg.unexpected().into());
    }
    setup::add_rust_target()?;
    packages::ensure(&["busybox-static"])?;
    let coracle = build::coracle()?;
    let bundle = build::target_directory()?.join("demo");
    make_bundle(&coracle, &bundle)?;
    eprintln!("xtask: {} run --bundle {} demo\n", coracle.display(), bundle.display());
    let mut command = process::Command::new(&coracle);
    let status = command.arg("run").arg("--bundle").arg(&bundle).arg("demo").status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

fn make_bundle(coracle: &Path, bundle: &Path) -> anyhow::Result<()> {
    if bundle.exists() {
        fs::remove_dir_all(bundle)
            .with_context(|| format!("cannot remove {}", bundle.display()))?;
    }
    let bin = bundle.join("rootfs/bin");
    fs::create_dir_all(&bin)?;
    fs::copy("/bin/busybox", bin.join("busybox"))?;
    for applet in ["sh", "hostname", "mount", "sed", "cat"] {
        symlink("busybox", bin.join(applet))?;
    }
    host::run(process::Command::new(coracle).arg("spec").arg("--bundle").arg(bundle))?;
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["sh", "-c", SCRIPT]);
    config["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
    config["linux"]["resources"]["pids"] = json!({"limit": 32});
    Ok(fs::write(&path, serde_json::to_vec_pretty(&config)?)?)
}
