//! Where hooks run, and what they can do there.

use std::fs;
use std::os::unix::fs::chown;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Result, Test, Verdict, check, check_eq, check_has, need, tests,
};
use serde_json::json;

use super::{INSIDE, KINDS, Notes, shell, with_all};

pub const TESTS: &[Test] = tests![
    run_in_the_namespaces_of_their_kind,
    run_in_the_namespaces_of_a_user_namespace,
    create_container_finds_the_host_and_the_container,
    start_container_finds_the_container_only,
    host_hooks_run_with_the_rights_of_the_caller,
    create_runtime_can_mount_into_the_container,
    create_container_can_mount_into_the_container,
    create_runtime_can_change_the_network,
    may_ask_the_runtime,
    start_container_is_confined_as_the_process,
    have_nothing_open_that_the_caller_has,
    leave_the_streams_of_the_container_alone,
];

const NAMESPACES: [&str; 7] = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"];

/// The namespaces of each kind of hook, then of the first process.
fn check_namespaces(t: &Context, bundle: Bundle) -> Result<()> {
    let (notes, bundle) = Notes::new(t, bundle)?;
    let links = NAMESPACES.map(|name| format!("readlink /proc/self/ns/{name}")).join("; ");
    let bundle = with_all(bundle.idle(), |kind| format!("({links}) > {}", notes.path(kind)));
    let container = t.start(&bundle)?;
    let of = |pid: &str| -> Result<String> {
        let link = |name: &&str| fs::read_link(format!("/proc/{pid}/ns/{name}"));
        let links = NAMESPACES.iter().map(link).collect::<Result<Vec<_>, _>>()?;
        Ok(links.iter().map(|link| format!("{}\n", link.display())).collect())
    };
    let (inside, outside) = (of(&container.pid()?.to_string())?, of("self")?);
    container.delete_forcibly()?;
    for kind in KINDS {
        let expected = if INSIDE.contains(&kind) { &inside } else { &outside };
        check_eq!((kind, &notes.text(kind)), (kind, expected));
    }
    Ok(())
}

fn run_in_the_namespaces_of_their_kind(t: &mut Context) -> Result<Verdict> {
    check_namespaces(t, t.bundle()?)?;
    let fewer = t.bundle()?.without_namespace("pid").without_namespace("network");
    check_namespaces(t, fewer)?;
    Ok(Passed)
}

fn run_in_the_namespaces_of_a_user_namespace(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.namespace("user", None);
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    chown(bundle.rootfs(), Some(100_000), Some(100_000))?;
    chown(bundle.rootfs().join("tmp"), Some(100_000), Some(100_000))?;
    let bundle = bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    check_namespaces(t, bundle)?;
    Ok(Passed)
}

fn create_container_finds_the_host_and_the_container(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let sentinel = t.path("sentinel");
    fs::write(&sentinel, "host\n")?;
    let script = format!(
        "exec > {}; cat {}; /bin/busybox pwd; [ -d proc/1 ] && echo proc; [ -c dev/null ] && echo dev
        [ -e bin/busybox ] && echo rootfs; [ -c dev/pts/ptmx ] && echo pts",
        notes.path("seen"),
        sentinel.display()
    );
    let bundle = bundle.push("/hooks/createContainer", shell(&script));
    t.run(&bundle)?.expect(0)?;
    let root = bundle.rootfs().display().to_string();
    let text = notes.text("seen");
    check_eq!(text.lines().collect::<Vec<_>>(), ["host", &root, "proc", "dev", "rootfs", "pts"]);
    Ok(Passed)
}

fn start_container_finds_the_container_only(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let sentinel = t.path("sentinel");
    fs::write(&sentinel, "host\n")?;
    fs::write(
        bundle.rootfs().join("only-here"),
        "#!/bin/sh\necho called \"$@\" > \"$1\"; pwd >> \"$1\"\n",
    )?;
    fs::set_permissions(
        bundle.rootfs().join("only-here"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let hook = json!({"path": "/only-here", "args": ["only-here", notes.path("called")]});
    let script = format!(
        "exec > {}; [ -e {} ] && echo host; cat /proc/1/comm > /dev/null && echo proc; echo $PPID",
        notes.path("seen"),
        sentinel.display()
    );
    let bundle = bundle.push("/hooks/startContainer", hook);
    let bundle = bundle.push("/hooks/startContainer", shell(&script));
    t.run(&bundle.set("/process/cwd", "/home"))?.expect(0)?;
    check_has!(notes.text("called"), &format!("called {}\n", notes.path("called")));
    check_eq!(notes.text("seen"), "proc\n1\n");
    Ok(Passed)
}

/// Whatever the container's process may do.
fn host_hooks_run_with_the_rights_of_the_caller(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let seccomp = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]});
    let bundle = bundle.set("/linux/seccomp", seccomp).set("/process/user/uid", 1000);
    let bundle = bundle.set("/process/oomScoreAdj", 500).capabilities(&[]);
    let status = "/bin/busybox grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/self/status";
    let bundle = with_all(bundle, |kind| {
        format!("exec > {}; {status}; cat /proc/self/oom_score_adj", notes.path(kind))
    });
    t.run(&bundle)?.expect(0)?;
    let ours = coracle_testkit::Cmd::new("sh")
        .args(["-c", &format!("{status}; cat /proc/self/oom_score_adj")]);
    let ours = ours.succeed()?.stdout;
    for kind in KINDS.iter().filter(|kind| !INSIDE.contains(kind)) {
        check_eq!((kind, &notes.text(kind)), (kind, &ours));
    }
    Ok(Passed)
}

/// A hook's script that knows the process as `$pid`.
const PID: &str = r#"pid=$(tr , '\n' | sed -n 's/.*"pid" *: *\([0-9]*\).*/\1/p')"#;

fn create_runtime_can_mount_into_the_container(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("nsenter"), "no nsenter");
    let volume = t.path("volume");
    fs::create_dir(&volume)?;
    fs::write(volume.join("file"), "from the hook\n")?;
    for kind in ["prestart", "createRuntime"] {
        let bundle = t.bundle()?.script("cat /mnt/file; touch /mnt/file && echo writable");
        let script = format!(
            "{PID}; nsenter --mount=/proc/$pid/ns/mnt /bin/busybox mount -o bind {} {}/mnt",
            volume.display(),
            bundle.rootfs().display()
        );
        let output = t.run(&bundle.push(&format!("/hooks/{kind}"), shell(&script)))?.expect(0)?;
        check_eq!(output.lines(), ["from the hook", "writable"]);
    }
    Ok(Passed)
}

fn create_container_can_mount_into_the_container(t: &mut Context) -> Result<Verdict> {
    let volume = t.path("volume");
    fs::create_dir(&volume)?;
    fs::write(volume.join("file"), "from the hook\n")?;
    let bundle = t.bundle()?.script("cat /mnt/file; cat /home/text");
    // By a path that starts at the root file system, and by one of the host.
    let script = format!(
        "/bin/busybox mount -o bind {} mnt && /bin/busybox mount -t tmpfs none {}/home
        echo text > home/text",
        volume.display(),
        bundle.rootfs().display()
    );
    let output = t.run(&bundle.push("/hooks/createContainer", shell(&script)))?.expect(0)?;
    check_eq!(output.lines(), ["from the hook", "text"]);
    Ok(Passed)
}

/// As CNI does.
fn create_runtime_can_change_the_network(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("nsenter"), "no nsenter");
    let add = "ip address add 10.9.8.7/24 dev lo";
    let script = format!("{PID}; nsenter --net=/proc/$pid/ns/net /bin/busybox {add}");
    let bundle = t.bundle()?.push("/hooks/createRuntime", shell(&script));
    let output = t.run(&bundle.args(&["ip", "address", "show", "dev", "lo"]))?.expect(0)?;
    check_has!(output.stdout, "10.9.8.7/24");
    Ok(Passed)
}

/// Who locks while it waits for a hook waits for ever.
fn may_ask_the_runtime(t: &mut Context) -> Result<Verdict> {
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let runtime = format!("{} --root {}", t.runtime().path().display(), t.store().display());
    let id = t.id();
    let hosts = KINDS.iter().filter(|kind| !INSIDE.contains(kind));
    let bundle = hosts.clone().fold(bundle, |bundle, kind| {
        let script = format!(
            "exec 2>&1 > {}; timeout 5 {runtime} list -q; echo $?; timeout 5 {runtime} state {id}; echo $?",
            notes.path(kind)
        );
        bundle.push(&format!("/hooks/{kind}"), shell(&script))
    });
    let bundle = bundle.args(&["sleep", "1000"]);
    bundle.write()?;
    let create = t.command().arg("create").arg("--bundle").arg(bundle.directory()).arg(&id);
    create.succeed()?;
    t.command().args(["start", &id]).succeed()?;
    t.command().args(["delete", "--force", &id]).succeed()?;
    for kind in hosts {
        let text = notes.text(kind);
        // 124 is the timeout.
        let codes: Vec<_> = text.lines().filter(|line| line.parse::<u8>().is_ok()).collect();
        check!(codes.len() == 2 && codes[0] == "0" && codes[1] != "124", "{kind}: {text}");
        if *kind == "poststart" {
            check_has!(text, &id, "running");
            check_eq!(codes[1], "0");
        }
    }
    Ok(Passed)
}

fn start_container_is_confined_as_the_process(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "runc and crun run them with more rights");
    let (notes, bundle) = Notes::new(t, t.bundle()?)?;
    let script = format!("cat /proc/self/status > {}; touch /x || true", notes.path("status"));
    let bundle = bundle.push("/hooks/startContainer", shell(&script));
    t.run(&bundle.set("/process/user/uid", 1000))?.expect(0)?;
    let status = notes.text("status");
    check_has!(
        status,
        "Uid:\t1000\t1000\t1000\t1000\n",
        "CapEff:\t0000000000000000\n",
        "NoNewPrivs:\t1\n"
    );
    Ok(Passed)
}

/// What they print is not the container's output, and what they read not its input.
fn leave_the_streams_of_the_container_alone(t: &mut Context) -> Result<Verdict> {
    let bundle =
        with_all(t.bundle()?, |kind| format!("echo {kind}; echo {kind} >&2; cat > /dev/null"));
    let command = t.run_with(&bundle.args(&["cat"]), &[])?.input("from the caller\n")?;
    let output = command.succeed()?;
    check_eq!(output.stdout, "from the caller\n");
    check!(KINDS.iter().all(|kind| !output.stderr.contains(kind)), "{output}");
    Ok(Passed)
}

/// Also not what is passed on to the container.
fn have_nothing_open_that_the_caller_has(t: &mut Context) -> Result<Verdict> {
    for flags in [&[][..], &["--preserve-fds", "1"]] {
        let (notes, bundle) = Notes::new(t, t.bundle()?)?;
        let bundle = with_all(bundle, |_| format!("ls /proc/self/fd >> {}", notes.path("list")));
        let careless = "exec 3</ 5>/dev/null 7</etc 9</etc/passwd";
        t.run_with(&bundle, flags)?.after(careless).succeed()?;
        // Of each, and of its list.
        check_eq!(notes.list(), ["0", "1", "2", "3"].repeat(KINDS.len()));
    }
    Ok(Passed)
}
