//! Calls that an agent decides about.

use std::thread;

use coracle_seccomp::{FilterFlags, Listener, OCI_FLAGS, supported_flags};
use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, DescriptorServer, Result, Test, Verdict, check, check_eq, eventually, need,
    tests,
};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::probe::{GETPPID, attempt_in, supported};
use super::{filter, on_getppid};

pub const TESTS: &[Test] = tests![
    asks_the_agent,
    hands_over_the_listener_before_the_start,
    asks_about_what_is_executed_later,
    fails_what_no_agent_answers,
    asks_with_any_flag,
    waits_through_signals_if_asked,
    can_ask_about_nearly_every_call,
    needs_an_agent,
    needs_to_reach_the_agent,
    tells_the_agent_everything,
];

/// An agent's socket, and the bundle whose filter asks there.
fn asking(t: &Context, bundle: Bundle) -> Result<(DescriptorServer, Bundle)> {
    let path = t.path(&format!("agent-{}", t.id()));
    let server = DescriptorServer::listen(&path)?;
    Ok((server, bundle.set("/linux/seccomp/listenerPath", path.to_string_lossy())))
}

fn on_calls(bundle: Bundle, names: &[&str]) -> Bundle {
    filter(bundle, "SCMP_ACT_ALLOW", json!([{"names": names, "action": "SCMP_ACT_NOTIFY"}]))
}

/// Receives a listener and what is said of it.
fn receive(server: &DescriptorServer) -> Result<(Listener, Value)> {
    let (descriptor, text) = server.receive_to_end()?;
    Ok((Listener::from(descriptor), serde_json::from_str(&text)?))
}

/// Lets every call pass until nobody is left who makes one; returns their names.
fn allow_all(listener: Listener) -> thread::JoinHandle<Result<Vec<String>>> {
    thread::spawn(move || {
        let mut names = Vec::new();
        while let Some(call) = listener.receive()? {
            names.extend(call.name().map(str::to_owned));
            listener.allow(&call)?;
        }
        Ok(names)
    })
}

fn asks_the_agent(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    for flag in [true, false] {
        let bundle = t.bundle()?.set("/process/noNewPrivileges", flag);
        let (server, bundle) = asking(t, on_getppid(bundle, "SCMP_ACT_NOTIFY"))?;
        let running = attempt_in(t, bundle, GETPPID)?.spawn()?;
        let (listener, _) = receive(&server)?;
        let call = listener.receive()?;
        let call = call.ok_or_else(|| anyhow::anyhow!("no call came"))?;
        check_eq!((call.name(), call.args()), (Some("getppid"), [0; 6]));
        check!(listener.is_waiting(&call)?);
        listener.deny(&call, Errno::from_raw_os_error(42))?;
        check!(!listener.is_waiting(&call)?);
        running.wait()?.expect(42)?;
        check!(listener.receive()?.is_none());
    }
    Ok(Passed)
}

/// What hooks and the process itself do until then is asked about, too.
fn hands_over_the_listener_before_the_start(t: &mut Context) -> Result<Verdict> {
    for flag in [true, false] {
        let bundle = t.bundle()?.writable().set("/process/noNewPrivileges", flag);
        let bundle = bundle.script("mkdir /made; echo $?; sleep 0.1");
        let (server, bundle) = asking(t, on_calls(bundle, &["mkdir", "mkdirat"]))?;
        let bundle = bundle.set("/linux/seccomp/listenerMetadata", "told \"as it is\"");
        let bundle = bundle.set("/annotations", json!({"org.example.key": "value"}));
        let container = t.create(&bundle)?;
        let (listener, told) = receive(&server)?;
        let state = container.state()?;
        check_eq!(told["fds"], json!(["seccompFd"]));
        check_eq!((&told["pid"], &told["state"]["pid"]), (&state["pid"], &state["pid"]));
        check_eq!(told["metadata"], "told \"as it is\"");
        check_eq!(told["state"]["status"], "creating");
        for key in ["id", "bundle", "annotations", "ociVersion"] {
            check_eq!((key, &told["state"][key]), (key, &state[key]));
        }
        check!(told["ociVersion"].is_string(), "{told}");
        check_eq!(state["status"], "created");
        container.start()?;
        let call = listener.receive()?;
        let call = call.ok_or_else(|| anyhow::anyhow!("no call came"))?;
        check_eq!(i64::from(call.pid()) > 0, true);
        listener.deny(&call, Errno::NOSPC)?;
        check_eq!(container.finish()?, "1\n");
    }
    Ok(Passed)
}

fn asks_about_what_is_executed_later(t: &mut Context) -> Result<Verdict> {
    let (server, bundle) = asking(t, on_calls(t.bundle()?.idle(), &["mkdir", "mkdirat"]))?;
    let container = t.create(&bundle)?;
    let first = receive(&server)?.0;
    container.start()?;
    container.wait_for("ready")?;
    let running = container.exec(&["mkdir", "/proc/nothing"]).spawn()?;
    let (listener, told) = receive(&server)?;
    check_eq!(told["state"]["pid"], json!(container.pid()?));
    check_eq!(told["state"]["status"], "running");
    check!(told["pid"] != told["state"]["pid"] && told["pid"].is_i64(), "{told}");
    let call = listener.receive()?;
    let call = call.ok_or_else(|| anyhow::anyhow!("no call came"))?;
    check_eq!(json!(call.pid()), told["pid"]);
    listener.respond(&call, 0)?;
    running.wait()?.expect(0)?;
    container.delete_forcibly()?;
    check!(first.receive()?.is_none());
    Ok(Passed)
}

fn fails_what_no_agent_answers(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    let (server, bundle) = asking(t, on_getppid(t.bundle()?, "SCMP_ACT_NOTIFY"))?;
    let running = attempt_in(t, bundle, GETPPID)?.spawn()?;
    drop(receive(&server)?);
    running.wait()?.expect(38)?;
    Ok(Passed)
}

fn asks_with_any_flag(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    for (name, flag) in OCI_FLAGS.iter_names() {
        if !supported_flags().contains(flag) {
            continue;
        }
        let flags = json!([format!("SECCOMP_FILTER_FLAG_{name}")]);
        let bundle = on_getppid(t.bundle()?, "SCMP_ACT_NOTIFY").set("/linux/seccomp/flags", flags);
        let (server, bundle) = asking(t, bundle)?;
        let running = attempt_in(t, bundle, GETPPID)?.spawn()?;
        let (listener, _) = receive(&server)?;
        let call = listener.receive()?;
        let call = call.ok_or_else(|| anyhow::anyhow!("no call came"))?;
        listener.deny(&call, Errno::from_raw_os_error(42))?;
        running.wait()?.expect(42)?;
    }
    Ok(Passed)
}

/// Else a signal that is caught comes first, and the call fails.
fn waits_through_signals_if_asked(t: &mut Context) -> Result<Verdict> {
    need!(supported_flags().contains(FilterFlags::WAIT_KILLABLE_RECV), "needs Linux 5.19");
    let flag = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";
    for (flags, outcome) in [(json!([]), "failed"), (json!([flag]), "answered")] {
        let script = "trap 'echo caught' USR1; kill -0 $$ && echo answered || echo failed";
        let bundle = on_calls(t.bundle()?.script(script), &["kill"]);
        let (server, bundle) = asking(t, bundle.set("/linux/seccomp/flags", flags))?;
        let container = t.create(&bundle)?;
        let (listener, _) = receive(&server)?;
        container.start()?;
        let call = listener.receive()?;
        let call = call.ok_or_else(|| anyhow::anyhow!("no call came"))?;
        let stat = format!("/proc/{}/stat", call.pid());
        container.kill("USR1")?;
        if outcome == "answered" {
            eventually("a wait that is not interrupted", || {
                let stat = std::fs::read_to_string(&stat)?;
                Ok((stat.split_whitespace().nth(2) == Some("D")).then_some(()))
            })?;
            listener.respond(&call, 0)?;
        }
        check!(listener.receive()?.is_none(), "it asked once more");
        check_eq!(container.finish()?, format!("caught\n{outcome}\n"));
    }
    Ok(Passed)
}

/// Also about those that the runtime makes itself after the filter is loaded.
fn can_ask_about_nearly_every_call(t: &mut Context) -> Result<Verdict> {
    let names = [
        "write",
        "read",
        "close",
        "close_range",
        "recvmsg",
        "execve",
        "openat",
        "dup3",
        "capset",
        "prctl",
        "setresuid",
        "setresgid",
        "chdir",
        "getcwd",
        "rt_sigaction",
        "fcntl",
    ];
    for flag in [true, false] {
        let bundle = t.bundle()?.set("/process/noNewPrivileges", flag).args(&["echo", "said"]);
        let (server, bundle) = asking(t, on_calls(bundle, &names))?;
        let running = t.run_with(&bundle, &[])?.spawn()?;
        let answers = allow_all(receive_early(&server)?);
        check_eq!(running.wait()?.expect(0)?.text(), "said");
        let asked = answers.join().map_err(|_| anyhow::anyhow!("the agent panicked"))??;
        for name in ["execve", "write", "close"] {
            check!(asked.iter().any(|asked| asked == name), "{name} is not in {asked:?}");
        }
    }
    Ok(Passed)
}

/// Receives a listener while the creation still goes on.
fn receive_early(server: &DescriptorServer) -> Result<Listener> {
    Ok(Listener::from(server.receive()?.0))
}

fn needs_an_agent(t: &mut Context) -> Result<Verdict> {
    let path = t.path("nobody");
    let marker = t.path("marker");
    let hook = json!([{"path": "/bin/touch", "args": ["touch", marker.to_string_lossy()]}]);
    let bundle = on_getppid(t.bundle()?, "SCMP_ACT_NOTIFY").set("/hooks/createRuntime", hook);
    t.run(&bundle)?.refused(&["/linux/seccomp/listenerPath"])?;
    let bundle = bundle.set("/linux/seccomp/listenerPath", path.to_string_lossy());
    t.run(&bundle)?.refused(&["nobody", "os error 2"])?;
    // Somebody listened here once.
    drop(DescriptorServer::listen(&path)?);
    t.run(&bundle)?.refused(&["nobody", "os error 111"])?;
    check!(!marker.exists());
    Ok(Passed)
}

fn needs_to_reach_the_agent(t: &mut Context) -> Result<Verdict> {
    let (server, bundle) = asking(t, on_calls(t.bundle()?, &["mkdir", "sendmsg"]))?;
    t.run(&bundle)?.refused(&["/linux/seccomp/syscalls/0/names/1", "sendmsg"])?;
    let rules = json!([
        {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"},
        {"names": ["execve", "exit_group"], "action": "SCMP_ACT_ALLOW"}
    ]);
    let path = bundle.spec()["linux"]["seccomp"]["listenerPath"].clone();
    let denying = filter(t.bundle()?, "SCMP_ACT_ERRNO", rules);
    let denying = denying.set("/linux/seccomp/listenerPath", path);
    t.run(&denying)?.refused(&["/linux/seccomp/syscalls", "must allow sendmsg"])?;
    drop(server);
    Ok(Passed)
}

/// However long its socket's path and what there is to say.
fn tells_the_agent_everything(t: &mut Context) -> Result<Verdict> {
    let directory = t.path(&"d".repeat(120));
    std::fs::create_dir(&directory)?;
    // Whoever listens has the same limit, but can go there.
    let short = t.path("agent");
    let server = DescriptorServer::listen(&short)?;
    std::fs::rename(&short, directory.join("agent"))?;
    let metadata = "m".repeat(1 << 20);
    let bundle = on_getppid(t.bundle()?, "SCMP_ACT_NOTIFY");
    let bundle =
        bundle.set("/linux/seccomp/listenerPath", directory.join("agent").to_string_lossy());
    let bundle = bundle.set("/linux/seccomp/listenerMetadata", metadata.as_str());
    let running = t.run_with(&bundle, &[])?.spawn()?;
    let (_listener, told) = receive(&server)?;
    check!(told["metadata"] == json!(metadata));
    running.wait()?.expect(0)?;
    Ok(Passed)
}
