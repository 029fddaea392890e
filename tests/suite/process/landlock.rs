//! The annotations of Landlock.

use std::fs::Permissions;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Result, Test, Verdict, check, check_eq, need, tests};
use serde_json::json;

use crate::rootless;
use crate::seccomp::probe::{BASE, HEADERS, executable, supported};

pub const TESTS: &[Test] = tests![
    allows_what_it_names_and_nothing_else,
    restricts_ports,
    keeps_signals_inside,
    keeps_abstract_sockets_apart,
    restricts_users_without_privileges,
    says_when_the_command_cannot_be_executed,
    refuses_what_cannot_be_meant,
    says_what_the_kernel_cannot_restrict,
];

const NEEDS: &str = "Landlock is not active, or older than Linux 6.12";

/// A bundle with annotations, whose names all begin alike.
fn with(t: &Context, annotations: &[(&str, &str)]) -> Result<Bundle> {
    let key = |name: &str| format!("/annotations/org.coracle.landlock.{name}");
    let set = |bundle: Bundle, (name, value): &(&str, &str)| bundle.set(&key(name), json!(value));
    Ok(annotations.iter().fold(t.bundle()?.writable(), set))
}

/// Has this kernel all that the tests ask for?
fn is_active(t: &Context) -> Result<bool> {
    let all = [("fs.read", "/"), ("fs.execute", "/bin"), ("net.bind", ""), ("scope", "signal")];
    Ok(t.is_coracle() && t.run(&with(t, &all)?)?.code() == 0)
}

fn allows_what_it_names_and_nothing_else(t: &mut Context) -> Result<Verdict> {
    need!(is_active(t)?, "{NEEDS}");
    let files = [("fs.read", "/etc:/dev"), ("fs.write", "/tmp:/dev/null"), ("fs.execute", "/bin")];
    let script = "cat /etc/passwd > /dev/null && echo read
        cat /hidden && echo seen
        ls / && echo listed
        echo x > /tmp/x && echo made
        echo x > /etc/x && echo changed
        echo x > /etc/group && echo truncated
        mkdir -p /tmp/d && mv /tmp/x /tmp/d && echo moved
        mv /tmp/d/x /etc/y && echo moved out
        stty -F /dev/zero 2>&1 | grep -o denied
        stty -F /dev/null 2>&1 | grep -o denied && echo not controlled
        cp /bin/busybox /tmp/busybox && /tmp/busybox true && echo executed
        mount -t tmpfs none /tmp && echo mounted";
    let expected = ["read", "made", "moved", "denied"];
    let bundle = with(t, &files)?.capabilities(&["CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"]);
    std::fs::write(bundle.rootfs().join("hidden"), "secret")?;
    let output = t.run(&bundle.clone().script(script))?;
    check_eq!(output.lines(), expected);
    // By the capability alone.
    let bundle = bundle.set("/process/noNewPrivileges", false);
    check_eq!(t.run(&bundle.clone().script(script))?.lines(), expected);
    // What is executed in it is under the rules, too.
    let container = t.start(&bundle.idle())?;
    let output = container.exec(&["sh", "-c", script]).run()?;
    check_eq!(output.lines(), expected);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn restricts_ports(t: &mut Context) -> Result<Verdict> {
    need!(is_active(t)?, "{NEEDS}");
    let script = "timeout 1 nc -l -p 1234; timeout 1 nc 127.0.0.1 1234; true";
    let said = |annotations: &[(&str, &str)]| -> Result<(bool, bool)> {
        let output = t.run(&with(t, annotations)?.script(script))?.expect(0)?;
        let denied = |call: &str| {
            let mut lines = output.stderr.lines();
            lines.any(|line| line.contains(call) && line.contains("ermission denied"))
        };
        Ok((denied("bind"), denied("127.0.0.1")))
    };
    check_eq!(said(&[])?, (false, false));
    check_eq!(said(&[("net.bind", "80, 1234")])?, (false, false));
    check_eq!(said(&[("net.bind", "80")])?, (true, false));
    check_eq!(said(&[("net.connect", "")])?, (false, true));
    Ok(Passed)
}

/// Each process of a container has rules of its own.
fn keeps_signals_inside(t: &mut Context) -> Result<Verdict> {
    need!(is_active(t)?, "{NEEDS}");
    for (scope, code) in [("abstract-unix-socket", 0), ("abstract-unix-socket,signal", 1)] {
        let container = t.start(&with(t, &[("scope", scope)])?.idle())?;
        container.wait_for("ready")?;
        container.exec(&["sh", "-c", "kill -0 1"]).run()?.expect(code)?;
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

/// Machine code that connects to an abstract socket of this name, and exits with the errno.
fn connect(name: &str) -> Vec<u8> {
    let load = |opcode: u8, value: u32| [&[opcode][..], &value.to_le_bytes()].concat();
    let (mov_eax, mov_edx, mov_esi, mov_edi) = (0xb8, 0xba, 0xbe, 0xbf);
    let (mov_edi_eax, neg_eax, syscall) = ([0x89, 0xc7], [0xf7, 0xd8], [0x0f, 0x05]);
    // The family and a zero come before the name.
    let address = [&[1, 0, 0], name.as_bytes()].concat();
    let code = |at: u32| {
        let socket = [load(mov_edi, 1), load(mov_esi, 1), load(mov_edx, 0), load(mov_eax, 41)];
        let length = u32::try_from(address.len()).unwrap_or_default();
        let connect = [load(mov_esi, at), load(mov_edx, length), load(mov_eax, 42)];
        let socket = [&socket.concat()[..], &syscall, &mov_edi_eax].concat();
        let connect = [&connect.concat()[..], &syscall, &neg_eax, &mov_edi_eax].concat();
        [socket, connect, load(mov_eax, 231), syscall.to_vec()].concat()
    };
    let at = BASE + HEADERS + code(0).len() as u64;
    executable(&[code(u32::try_from(at).unwrap_or_default()), address].concat(), 0)
}

fn keeps_abstract_sockets_apart(t: &mut Context) -> Result<Verdict> {
    need!(is_active(t)? && supported(), "{NEEDS}, or the probe is for x86-64");
    let name = t.id();
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    for (scope, errno) in [("signal", 0), ("abstract-unix-socket", 1)] {
        let bundle = with(t, &[("scope", scope)])?.without_namespace("network");
        let path = bundle.rootfs().join("connect");
        std::fs::write(&path, connect(&name))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        t.run(&bundle.args(&["/connect"]))?.expect(errno)?;
    }
    Ok(Passed)
}

fn restricts_users_without_privileges(t: &mut Context) -> Result<Verdict> {
    need!(is_active(t)?, "{NEEDS}");
    let rules = [("fs.read", "/etc"), ("fs.execute", "/bin"), ("net.bind", "80")];
    let mut bundle = rootless::bundle(t)?;
    for (name, value) in rules {
        bundle = bundle.set(&format!("/annotations/org.coracle.landlock.{name}"), value);
    }
    let script = "cat /etc/passwd > /dev/null 2>&1; cat /etc/group | wc -l; ls / | wc -l
        timeout 1 nc -l -p 1234 2>&1 | grep -o denied";
    let output = t.as_user(t.run_with(&bundle.script(script), &[])?).run()?;
    check_eq!(output.lines(), ["3", "0", "denied"]);
    Ok(Passed)
}

fn says_when_the_command_cannot_be_executed(t: &mut Context) -> Result<Verdict> {
    need!(is_active(t)?, "{NEEDS}");
    t.run(&with(t, &[("fs.read", "/")])?)?.refused(&["org.coracle.landlock.fs.execute"])?;
    let missing = with(t, &[("fs.read", "/no/such/path")])?;
    t.run(&missing)?.refused(&["Landlock", "/no/such/path", "ENOENT"])?;
    Ok(Passed)
}

fn refuses_what_cannot_be_meant(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others know nothing of it");
    for (name, value) in [
        ("fs.raed", "/"),
        ("", "/"),
        ("fs.read", "etc"),
        ("net.bind", "http"),
        ("net.connect", "65536"),
        ("scope", "signals"),
        ("mode", "none"),
    ] {
        let key = format!("/annotations/org.coracle.landlock.{name}");
        t.run(&with(t, &[(name, value)])?)?.refused(&[&key])?;
    }
    let bundle = with(t, &[("fs.read", "/")])?.set("/process/noNewPrivileges", false);
    t.run(&bundle)?.refused(&["/process/noNewPrivileges", "Landlock"])?;
    Ok(Passed)
}

/// Without the calls the kernel has no Landlock at all.
fn says_what_the_kernel_cannot_restrict(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others know nothing of it");
    let run = |mode: &str| -> Result<_> {
        let asked = [("fs.read", "/"), ("fs.execute", "/"), ("mode", mode)];
        t.run_with(&with(t, &asked)?, &[])?.without_call("landlock_create_ruleset").run()
    };
    run("strict")?.refused(&["/annotations", "reading files", "best-effort"])?;
    let output = run("best-effort")?.expect(0)?;
    output.says(&["warning", "/annotations", "truncating files"])?;
    check_eq!(output.stderr.lines().count(), 1);
    check!(!output.stderr.contains("signals"), "{output}");
    Ok(Passed)
}
