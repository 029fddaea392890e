//! Containers of a user without privileges.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use coracle_seccomp::Listener;
use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Container, Context, DescriptorServer, Output, Result, Suite, Test, Verdict, check,
    check_eq, check_has, need, tests,
};
use serde_json::{Value, json};

pub fn add_to(suite: Suite) -> Suite {
    suite.group_for_all("rootless", TESTS)
}

const TESTS: &[Test] = tests![
    writes_a_configuration_for_the_caller,
    runs_as_root_of_a_user_namespace,
    exits_as_the_command_exits,
    owns_what_it_makes,
    lives_a_whole_life,
    has_the_devices_of_the_host,
    mounts_volumes_of_the_user,
    shares_the_network_and_shows_sys,
    says_what_is_not_limited,
    says_nothing_of_limits_that_nobody_asked_for,
    shifts_clocks,
    shifts_clocks_among_neighbours,
    insists_on_limits_if_asked,
    keeps_containers_where_the_user_may,
    cannot_become_a_user_that_is_not_mapped,
    cannot_join_a_group_that_is_not_mapped,
    maps_more_users_with_newuidmap,
    cannot_reach_containers_of_root,
    is_confined_as_others_are,
    asks_the_agent_of_the_user,
    says_that_it_needs_a_user_namespace,
    says_which_limit_is_in_the_way,
    keeps_the_oom_score_that_it_cannot_lower,
    has_keys_of_its_own,
    ranks_itself_as_far_as_it_may,
    is_what_its_user_namespace_lets_it_be,
    executes_on_the_cpus_that_are_asked_for,
];

/// A rootless bundle that belongs to the user, and a store that does.
pub fn bundle(t: &Context) -> Result<Bundle> {
    let uid = user(t)?;
    let bundle = t.rootless_bundle()?;
    let bundle = bundle.set("/linux/uidMappings/0/hostID", uid);
    let bundle = bundle.set("/linux/gidMappings/0/hostID", uid);
    fs::create_dir_all(t.store())?;
    t.give_to_user(&t.store())?;
    t.give_to_user(bundle.directory())?;
    Ok(bundle)
}

fn user(t: &Context) -> Result<u32> {
    Ok(t.as_user(Cmd::new("id").arg("-u")).succeed()?.text().parse()?)
}

fn run(t: &Context, bundle: &Bundle) -> Result<Output> {
    t.as_user(t.run_with(bundle, &[])?).run()
}

pub fn create(t: &Context, bundle: &Bundle) -> Result<Container> {
    t.create_by(t.as_user(t.command()), bundle, &[])
}

fn writes_a_configuration_for_the_caller(t: &mut Context) -> Result<Verdict> {
    let directory = t.path("spec");
    fs::create_dir(&directory)?;
    t.give_to_user(&directory)?;
    let spec = || t.as_user(t.command().args(["spec", "--rootless"]).directory(&directory));
    spec().succeed()?;
    let written: Value = serde_json::from_slice(&fs::read(directory.join("config.json"))?)?;
    check_eq!(
        written["linux"]["uidMappings"],
        json!([{"containerID": 0, "hostID": user(t)?, "size": 1}])
    );
    check_eq!(fs::metadata(directory.join("config.json"))?.uid(), user(t)?);
    // Nothing is overwritten.
    spec().run()?.refused(&["config.json", "exists"])?;
    fs::create_dir(directory.join("rootfs"))?;
    Ok(Passed)
}

fn runs_as_root_of_a_user_namespace(t: &mut Context) -> Result<Verdict> {
    let uid = user(t)?;
    let bundle = bundle(t)?
        .script("id -u; id -g; cat /proc/self/uid_map /proc/self/setgroups; hostname; echo $$");
    let hostname = bundle.spec()["hostname"].as_str().unwrap_or_default();
    let output = run(t, &bundle)?.expect(0)?;
    let words: Vec<_> = output.stdout.split_whitespace().collect();
    check_eq!(words, ["0", "0", "0", &uid.to_string(), "1", "deny", hostname, "1"]);
    Ok(Passed)
}

fn exits_as_the_command_exits(t: &mut Context) -> Result<Verdict> {
    run(t, &bundle(t)?.script("echo out; echo err >&2; exit 7"))?.expect(7)?;
    run(t, &bundle(t)?.args(&["nosuch"]))?.refused(&["nosuch"])?;
    Ok(Passed)
}

fn owns_what_it_makes(t: &mut Context) -> Result<Verdict> {
    let bundle =
        bundle(t)?.writable().script("touch /made; stat -c %u:%g /made /; mkdir /d && rm -r /d");
    check_eq!(run(t, &bundle)?.expect(0)?.lines(), ["0:0", "0:0"]);
    check_eq!(fs::metadata(bundle.rootfs().join("made"))?.uid(), user(t)?);
    Ok(Passed)
}

fn lives_a_whole_life(t: &mut Context) -> Result<Verdict> {
    let container = create(t, &bundle(t)?.idle())?;
    check_eq!(container.status()?, "created");
    container.start()?;
    container.wait_for("ready")?;
    check_eq!(container.status()?, "running");
    container.command("delete", &[]).run()?.refused(&["running"])?;
    container.kill("TERM")?;
    container.finish()?;
    let container = create(t, &bundle(t)?.script("trap '' TERM; sleep 1000"))?;
    container.start()?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn has_the_devices_of_the_host(t: &mut Context) -> Result<Verdict> {
    let script = "cd /dev; stat -c '%t:%T' null zero full random urandom tty; echo x > null
        head -c 2 zero | wc -c; readlink ptmx; readlink stdin; ls -d pts/ptmx; echo x > /dev/full";
    let output = run(t, &bundle(t)?.script(script))?;
    let lines = output.lines();
    check_eq!(lines[..6], ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"]);
    check_eq!(lines[6..], ["2", "pts/ptmx", "/proc/self/fd/0", "pts/ptmx"]);
    check!(output.stderr.contains("No space left"), "{output}");
    Ok(Passed)
}

fn mounts_volumes_of_the_user(t: &mut Context) -> Result<Verdict> {
    let volume = t.path("volume");
    fs::create_dir(&volume)?;
    fs::write(volume.join("file"), "content\n")?;
    t.give_to_user(&volume)?;
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o700))?;
    let source = volume.to_string_lossy();
    let bundle = bundle(t)?.mount("/mnt", "bind", &source, &["rbind", "rw", "nosuid", "nodev"]);
    let bundle = bundle.mount("/home", "bind", &source, &["bind", "ro"]);
    let bundle = bundle.mount("/tmp", "tmpfs", "tmpfs", &["size=1m"]);
    let output =
        run(t, &bundle.script("cat /mnt/file /home/file; touch /mnt/new /tmp/new; touch /home/x"))?;
    check_eq!(output.lines(), ["content", "content"]);
    check!(output.stderr.contains("Read-only"), "{output}");
    check_eq!(fs::metadata(volume.join("new"))?.uid(), user(t)?);
    Ok(Passed)
}

fn shares_the_network_and_shows_sys(t: &mut Context) -> Result<Verdict> {
    let output = run(t, &bundle(t)?.script("readlink /proc/self/ns/net; ls /sys/class/net | wc -l; touch /sys/x; mkdir /sys/fs/cgroup/x"))?;
    check_eq!(output.lines()[0], fs::read_link("/proc/self/ns/net")?.to_string_lossy());
    check!(output.lines()[1].trim() != "0", "{output}");
    check_eq!(output.stderr.matches("Read-only file system").count(), 2);
    let new = bundle(t)?.namespace("network", None);
    let output =
        run(t, &new.script("cat /sys/class/net/lo/flags 2>/dev/null; cat /proc/net/dev | wc -l"))?;
    // Two lines of headings, and lo.
    check_eq!(output.lines().last().map(|line| line.trim()), Some("3"));
    Ok(Passed)
}

/// Whether the user has been given a cgroup of its own.
fn has_delegated_cgroup(t: &Context) -> Result<bool> {
    let cgroup = t.host().cgroup_of(i32::try_from(std::process::id())?, "pids")?;
    let probe = t.as_user(Cmd::new("test").arg("-w").arg(cgroup)).run()?;
    Ok(probe.code() == 0)
}

fn limited(t: &Context) -> Result<Bundle> {
    let bundle = bundle(t)?.set("/linux/resources/pids/limit", 20);
    Ok(bundle.set("/linux/resources/memory/limit", 64 << 20).args(&["echo", "runs"]))
}

fn says_what_is_not_limited(t: &mut Context) -> Result<Verdict> {
    need!(!has_delegated_cgroup(t)?, "the user has a cgroup of its own");
    let quiet = run(t, &bundle(t)?)?.expect(0)?;
    check_eq!(quiet.stderr, "");
    let output = run(t, &limited(t)?)?.expect(0)?;
    check_eq!(output.text(), "runs");
    output.says(&["warning", "limit", "pids", "memory"])?;
    Ok(Passed)
}

/// What every engine asks of devices is nothing that somebody misses.
fn says_nothing_of_limits_that_nobody_asked_for(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others say nothing at all");
    let usual = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
    ]);
    let bundle = bundle(t)?.set("/linux/resources", json!({"devices": usual}));
    check_eq!(run(t, &bundle.args(&["true"]))?.expect(0)?.stderr, "");
    Ok(Passed)
}

/// In a time namespace that belongs to its user namespace.
fn shifts_clocks(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let bundle = bundle(t)?.namespace("time", None).idle();
    let bundle = bundle.set("/linux/timeOffsets/boottime", json!({"secs": 1_000_000}));
    let container = create(t, &bundle.set("/linux/timeOffsets/monotonic", json!({"secs": 5})))?;
    container.start()?;
    let ticks = "test $(cut -d. -f1 /proc/uptime) -ge 1000000";
    container.script(&format!("{ticks} && grep -q 'monotonic *5 ' /proc/self/timens_offsets"))?;
    let namespace = std::fs::read_link(format!("/proc/{}/ns/time", container.pid()?))?;
    check!(namespace != std::fs::read_link("/proc/self/ns/time")?, "it is the host's");
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Also where it joins the user namespace of another container, with any of its others.
fn shifts_clocks_among_neighbours(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let neighbour = create(t, &bundle(t)?.namespace("network", None).idle())?;
    neighbour.start()?;
    neighbour.wait_for("ready")?;
    let pid = neighbour.pid()?;
    let theirs = |name: &str| format!("/proc/{pid}/ns/{name}");
    let shifted = |bundle: Bundle| {
        let bundle = bundle.namespace("time", None).remove("/hostname");
        bundle.set("/linux/timeOffsets/monotonic", json!({"secs": 5}))
    };
    let all = [("network", "net"), ("pid", "pid"), ("ipc", "ipc"), ("uts", "uts")];
    for others in [&[][..], &all[..1], &all[1..2], &all] {
        let bundle = shifted(bundle(t)?).namespace("user", Some(&theirs("user")));
        let bundle = bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
        let join =
            |it: Bundle, (kind, name): &(&str, &str)| it.namespace(kind, Some(&theirs(name)));
        let script = "grep monotonic /proc/self/timens_offsets; ls -l /proc/self/ns";
        let output = run(t, &others.iter().fold(bundle, join).script(script))?.expect(0)?;
        check_eq!(
            output.lines()[0].split_whitespace().collect::<Vec<_>>(),
            ["monotonic", "5", "0"]
        );
        for (_, name) in others.iter().chain(&[("user", "user")]) {
            let namespace = fs::read_link(theirs(name))?.display().to_string();
            check_has!(output.stdout, namespace.as_str());
        }
    }
    // Nobody joins what belongs to another user namespace than its own.
    let bundle = shifted(bundle(t)?).namespace("network", Some(&theirs("net")));
    run(t, &bundle)?.refused(&["joining namespaces", "network", "EPERM"])?;
    neighbour.delete_forcibly()?;
    Ok(Passed)
}

fn insists_on_limits_if_asked(t: &mut Context) -> Result<Verdict> {
    need!(!has_delegated_cgroup(t)?, "the user has a cgroup of its own");
    let bundle = limited(t)?;
    bundle.write()?;
    let command = t.command().args(["--rootless", "false", "run", "--bundle"]);
    let command = t.as_user(command.arg(bundle.directory()).arg(t.id()));
    command.run()?.refused(&["cgroup", "ermission denied"])?;
    Ok(Passed)
}

fn keeps_containers_where_the_user_may(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "each runtime has a place of its own");
    let runtime_directory = t.path("runtime");
    fs::create_dir(&runtime_directory)?;
    t.give_to_user(&runtime_directory)?;
    let bundle = bundle(t)?;
    bundle.write()?;
    let command = || t.as_user(t.runtime().command());
    let create = command().env("XDG_RUNTIME_DIR", &runtime_directory);
    let id = t.id();
    create.arg("create").arg("--bundle").arg(bundle.directory()).arg(&id).succeed()?;
    let state = runtime_directory.join("coracle").join(&id);
    check!(state.join("state.json").exists());
    check_eq!(fs::metadata(&state)?.permissions().mode() & 0o077, 0);
    let list = command().env("XDG_RUNTIME_DIR", &runtime_directory).args(["list", "-q"]);
    check_eq!(list.succeed()?.text(), id);
    let delete = command().env("XDG_RUNTIME_DIR", &runtime_directory).args(["delete", &id]);
    delete.succeed()?;
    let lost = command().without_env("XDG_RUNTIME_DIR").arg("list");
    lost.run()?.refused(&["XDG_RUNTIME_DIR", "--root"])?;
    Ok(Passed)
}

fn cannot_become_a_user_that_is_not_mapped(t: &mut Context) -> Result<Verdict> {
    run(t, &bundle(t)?.set("/process/user/uid", 5))?.refused(&["/process/user/uid", "uid 5"])?;
    run(t, &bundle(t)?.set("/process/user/gid", 5))?.refused(&["/process/user/gid", "gid 5"])?;
    Ok(Passed)
}

fn cannot_join_a_group_that_is_not_mapped(t: &mut Context) -> Result<Verdict> {
    let output = run(t, &bundle(t)?.set("/process/user/additionalGids", json!([5])))?;
    output.refused(&["/process/user/additionalGids", "gid 5"])?;
    Ok(Passed)
}

/// The range that /etc/subuid or /etc/subgid gives to a user, by name or number.
fn range(file: &str, name: &str, uid: u32) -> Option<(u32, u32)> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|it| it.len() == 3 && (it[0] == name || it[0] == uid.to_string()))?;
    Some((line[1].parse().ok()?, line[2].parse().ok()?))
}

fn maps_more_users_with_newuidmap(t: &mut Context) -> Result<Verdict> {
    let uid = user(t)?;
    let name = t.as_user(Cmd::new("id").arg("-un")).run()?.text().to_owned();
    let ranges = (range("/etc/subuid", &name, uid), range("/etc/subgid", &name, uid));
    let (Some((first, count)), Some((first_group, groups))) = ranges else {
        return Ok(Verdict::Skipped(format!("no range in /etc/subuid for user {uid}")));
    };
    need!(t.host().has_program("newuidmap"), "no newuidmap");
    let map = |first: u32, count: u32| json!([{"containerID": 0, "hostID": uid, "size": 1}, {"containerID": 1, "hostID": first, "size": count}]);
    let bundle = bundle(t)?.set("/linux/uidMappings", map(first, count));
    let bundle = bundle.set("/linux/gidMappings", map(first_group, groups));
    let bundle = bundle.set("/process/user", json!({"uid": 5, "gid": 6, "additionalGids": [7]}));
    let bundle = bundle
        .script("id -u; id -g; id -G; cat /proc/self/setgroups; cat /proc/self/uid_map | wc -l");
    let output = run(t, &bundle)?.expect(0)?;
    check_eq!(output.lines(), ["5", "6", "6 7", "allow", "2"]);
    Ok(Passed)
}

fn cannot_reach_containers_of_root(t: &mut Context) -> Result<Verdict> {
    need!(t.host().is_root(), "needs root");
    let container = t.start(&t.bundle()?.idle())?;
    for command in ["state", "kill", "delete"] {
        let output = t.as_user(t.command().arg(command).arg(container.id())).run()?;
        output.refused(&["ermission denied"])?;
    }
    check_eq!(container.status()?, "running");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn is_confined_as_others_are(t: &mut Context) -> Result<Verdict> {
    let bundle = bundle(t)?.script(
        "grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; cat /proc/kcore /proc/keys | wc -c
        echo 1 > /proc/sys/kernel/hostname; touch /x; mount -t tmpfs x /mnt",
    );
    let rules = json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]);
    let seccomp = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules});
    let output = run(t, &bundle.set("/linux/seccomp", seccomp))?;
    check_has!(output.stdout, "CapBnd:\t0000000020000420", "NoNewPrivs:\t1", "Seccomp:\t2");
    check_eq!(output.stderr.matches("Read-only file system").count(), 2);
    check!(output.stderr.contains("ermission denied") || output.stderr.contains("not permitted"));
    Ok(Passed)
}

fn asks_the_agent_of_the_user(t: &mut Context) -> Result<Verdict> {
    let path = t.path("agent");
    let agent = DescriptorServer::listen(&path)?;
    t.give_to_user(&path)?;
    for flag in [true, false] {
        let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]);
        let bundle = bundle(t)?.set("/process/noNewPrivileges", flag).set(
            "/linux/seccomp",
            json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "listenerPath": path.to_string_lossy(),
                "syscalls": rules,
            }),
        );
        let bundle = bundle.script("mkdir /proc/nothing; echo $?");
        let running = t.as_user(t.run_with(&bundle, &[])?).spawn()?;
        let listener = Listener::from(agent.receive()?.0);
        let call = listener.receive()?;
        let call = call.ok_or_else(|| anyhow::anyhow!("no call came"))?;
        listener.respond(&call, 0)?;
        check_eq!(running.wait()?.expect(0)?.text(), "0");
    }
    Ok(Passed)
}

fn says_that_it_needs_a_user_namespace(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have other messages");
    let bundle = bundle(t)?.without_namespace("user");
    let bundle = bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
    run(t, &bundle)?.refused(&["user namespace", "spec --rootless", "EPERM"])?;
    Ok(Passed)
}

fn says_which_limit_is_in_the_way(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have other messages");
    let bundle =
        bundle(t)?.set("/linux/uidMappings/0/hostID", 0).set("/linux/gidMappings/0/hostID", 0);
    // Of a user namespace of its own, so that nobody else is limited.
    let limit = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let nested = |script| ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"];
    let probe = t.as_user(Cmd::new("true").through(nested(limit))).run()?;
    need!(probe.code() == 0, "the limits of user namespaces cannot be changed here");
    let command = t.as_user(t.run_with(&bundle, &[])?.through(nested(limit)));
    command.run()?.refused(&["user.max_user_namespaces", "ENOSPC"])?;
    Ok(Passed)
}

fn keeps_the_oom_score_that_it_cannot_lower(t: &mut Context) -> Result<Verdict> {
    let bundle = bundle(t)?.args(&["cat", "/proc/self/oom_score_adj"]);
    let raised = run(t, &bundle.clone().set("/process/oomScoreAdj", 400))?.expect(0)?;
    check_eq!(raised.text(), "400");
    let bundle = bundle.set("/process/oomScoreAdj", -999);
    let output = run(t, &bundle)?.expect(0)?;
    check!(output.text() != "-999", "{output}");
    output.says(&["warning", "/process/oomScoreAdj", "CAP_SYS_RESOURCE"])?;
    Ok(Passed)
}

fn has_keys_of_its_own(t: &mut Context) -> Result<Verdict> {
    let bundle = bundle(t)?.set("/linux/maskedPaths", json!([])).args(&["cat", "/proc/keys"]);
    for (flags, own) in [(&[][..], true), (&["--no-new-keyring"], false)] {
        let (command, id) = t.run_as(&bundle, flags)?;
        let keys = t.as_user(command).succeed()?.stdout;
        check_eq!((flags, keys.contains(&format!("_ses.{id}"))), (flags, own));
    }
    Ok(Passed)
}

/// What the user's rights have an effect for has it; of the rest it is said what is missing.
fn ranks_itself_as_far_as_it_may(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know these fields");
    let rank = |policy: &str, nice: i32| json!({"policy": policy, "nice": nice});
    let class = |class: &str| json!({"class": class, "priority": 3});
    let limit = |hard: u64| json!([{"type": "RLIMIT_NOFILE", "soft": 64, "hard": hard}]);
    let shown = "set -- $(cat /proc/$$/stat); echo ${41} ${19}";
    for (field, value, script, expected) in [
        ("/process/scheduler", rank("SCHED_BATCH", 7), shown, Ok("3 7")),
        ("/process/scheduler", rank("SCHED_IDLE", 0), shown, Ok("5 0")),
        ("/process/scheduler", rank("SCHED_OTHER", -7), shown, Err("RLIMIT_NICE")),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_FIFO", "priority": 1}),
            shown,
            Err("RLIMIT_RTPRIO"),
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_DEADLINE", "runtime": 10_000, "deadline": 1_000_000}),
            shown,
            Err("CAP_SYS_NICE"),
        ),
        (
            "/process/ioPriority",
            class("IOPRIO_CLASS_BE"),
            "ionice -p $$",
            Ok("best-effort: prio 3"),
        ),
        ("/process/ioPriority", class("IOPRIO_CLASS_IDLE"), "ionice -p $$", Ok("idle")),
        ("/process/ioPriority", class("IOPRIO_CLASS_RT"), "ionice -p $$", Err("CAP_SYS_NICE")),
        ("/process/rlimits", limit(64), "ulimit -Hn", Ok("64")),
        ("/process/rlimits", limit(1 << 30), "ulimit -Hn", Err("RLIMIT_NOFILE")),
        ("/process/user/umask", json!(0o027), "umask", Ok("0027")),
        (
            "/linux/personality",
            json!({"domain": "LINUX32"}),
            "cat /proc/self/personality",
            Ok("00000008"),
        ),
    ] {
        has_effect_or_says(t, (field, value), script, expected)?;
    }
    Ok(Passed)
}

fn executes_on_the_cpus_that_are_asked_for(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let bundle = bundle(t)?.set("/process/execCPUAffinity", json!({"final": "0"})).idle();
    let container = create(t, &bundle)?;
    container.start()?;
    let cpus = container.script("grep Cpus_allowed_list /proc/self/status | cut -f 2")?;
    check_eq!(cpus.text(), "0");
    container.delete_forcibly()?;
    Ok(Passed)
}

/// A field with its value, a script, and what it prints because of that, or the word that says why not.
fn has_effect_or_says(
    t: &Context,
    (field, value): (&str, Value),
    script: &str,
    expected: std::result::Result<&str, &str>,
) -> Result<()> {
    let output = run(t, &bundle(t)?.set(field, value).script(script))?;
    match expected {
        Ok(text) => check_eq!((field, output.expect(0)?.text()), (field, text)),
        Err(word) => drop(output.refused(&[field, word])?),
    }
    Ok(())
}

/// The inheritable, permitted, effective, bounding and ambient set, in hexadecimal.
const CAPABILITIES: &str = "echo $(grep Cap /proc/self/status | cut -f 2 | sed 's/^0*//; s/^$/0/')";

fn is_what_its_user_namespace_lets_it_be(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know all of these fields");
    let sets = |names: &[&str]| -> Value {
        names.iter().map(|set| ((*set).to_owned(), json!(["CAP_KILL"]))).collect()
    };
    for (field, value, script, expected) in [
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "0"}),
            "head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2",
            Ok("bind:0"),
        ),
        ("/domainname", json!("fleet"), "cat /proc/sys/kernel/domainname", Ok("fleet")),
        (
            "/linux/sysctl",
            json!({"kernel.domainname": "fleet"}),
            "cat /proc/sys/kernel/domainname",
            Ok("fleet"),
        ),
        (
            "/linux/sysctl",
            json!({"net.ipv4.ip_forward": "1"}),
            "cat /proc/sys/net/ipv4/ip_forward",
            Err("network"),
        ),
        (
            "/process/noNewPrivileges",
            json!(false),
            "grep NoNewPrivs /proc/self/status | cut -f 2",
            Ok("0"),
        ),
        ("/process/capabilities", sets(&["bounding"]), CAPABILITIES, Ok("0 0 0 20 0")),
        (
            "/process/capabilities",
            sets(&["bounding", "permitted", "effective", "inheritable", "ambient"]),
            CAPABILITIES,
            Ok("20 20 20 20 20"),
        ),
    ] {
        has_effect_or_says(t, (field, value), script, expected)?;
    }
    Ok(Passed)
}
