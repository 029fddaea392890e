//! What cannot work: one clear sentence, the right exit code, and nothing left behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Context, Output, Result, Suite, Test, Verdict, check, check_eq, need, tests,
};
use serde_json::json;

pub fn add_to(suite: Suite) -> Suite {
    suite.group_for_all("bad_input", TESTS)
}

const TESTS: &[Test] = tests![
    no_bundle,
    no_configuration,
    no_json,
    an_endless_configuration,
    wrong_types_and_values,
    all_problems_at_once,
    a_version_to_come,
    no_root_file_system,
    a_root_that_is_none,
    an_unknown_namespace,
    an_unmapped_user,
    no_command,
    no_program,
    nothing_executable,
    a_broken_program,
    a_working_directory_that_is_none,
    fields_that_nobody_knows,
    unknown_commands,
    unknown_flags,
    flags_without_values,
    too_few_and_too_many_arguments,
    a_store_that_cannot_be,
    a_pid_file_that_cannot_be,
    a_log_that_cannot_be,
    hostile_text_in_messages,
];

/// Runs it; as an ordinary user what is wrong is the same.
fn run(t: &Context, bundle: &Bundle) -> Result<Output> {
    let output = t.run(bundle)?;
    check!(output.stdout.is_empty(), "{output}");
    Ok(output)
}

fn on_bundle(t: &Context, directory: &std::path::Path) -> Result<Output> {
    t.command().arg("run").arg("--bundle").arg(directory).arg(t.id()).run()
}

fn no_bundle(t: &mut Context) -> Result<Verdict> {
    on_bundle(t, &t.path("nowhere"))?.refused(&["nowhere", "bundle"])?;
    fs::write(t.path("file"), "")?;
    on_bundle(t, &t.path("file"))?.refused(&["file"])?;
    Ok(Passed)
}

fn no_configuration(t: &mut Context) -> Result<Verdict> {
    fs::create_dir(t.path("empty"))?;
    on_bundle(t, &t.path("empty"))?.refused(&["config.json", "spec"])?;
    for command in ["create", "run"] {
        // The current directory is the bundle, if none is named.
        let output = t.command().directory(t.path("empty")).args([command, "x"]).run()?;
        output.refused(&["config.json"])?;
    }
    Ok(Passed)
}

fn no_json(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    bundle.write()?;
    let file = bundle.directory().join("config.json");
    let whole = fs::read(&file)?;
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 2] {
        fs::write(&file, &whole[..length])?;
        on_bundle(t, bundle.directory())?.refused(&["config.json", "line"])?;
    }
    for text in ["[]", "null", "3", "\"text\"", "{} {}", "{\"a\": \u{1}}", "\u{feff}{}"] {
        fs::write(&file, text)?;
        on_bundle(t, bundle.directory())?.refused(&["config.json"])?;
    }
    fs::write(&file, [0xff, 0xfe, 0x7b, 0x7d])?;
    on_bundle(t, bundle.directory())?.refused(&["config.json"])?;
    fs::write(&file, "[".repeat(100_000))?;
    on_bundle(t, bundle.directory())?.refused(&["config.json"])?;
    Ok(Passed)
}

fn an_endless_configuration(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    let file = bundle.directory().join("config.json");
    for target in ["/dev/zero", "/dev/null", "/"] {
        symlink(target, &file)?;
        on_bundle(t, bundle.directory())?.refused(&["config.json"])?;
        fs::remove_file(&file)?;
    }
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, 0o644.into())?;
    on_bundle(t, bundle.directory())?.refused(&["config.json"])?;
    fs::remove_file(&file)?;
    fs::File::create(&file)?.set_len(1 << 40)?;
    on_bundle(t, bundle.directory())?.refused(&["config.json"])?;
    Ok(Passed)
}

fn wrong_types_and_values(t: &mut Context) -> Result<Verdict> {
    let wrong = [
        ("/process/args", json!("sh")),
        ("/process/args/0", json!(7)),
        ("/process/cwd", json!("relative")),
        ("/process/user/uid", json!(-1)),
        ("/process/user/uid", json!(4_294_967_296_u64)),
        ("/process/user/uid", json!(4_294_967_295_u64)),
        ("/process/user/uid", json!("0")),
        ("/process/env/0", json!("NOVALUE")),
        ("/process/rlimits/0/type", json!("NOFILE")),
        ("/process/oomScoreAdj", json!(2000)),
        ("/hostname", json!("name\nwith\0bytes")),
        ("/mounts/0/destination", json!("")),
        ("/linux/resources/memory/limit", json!("64M")),
        ("/linux/resources/pids/limit", json!(1.5)),
        ("/linux/resources/devices", json!("all")),
        ("/linux/maskedPaths", json!(true)),
        ("/root/path", json!("")),
    ];
    for (pointer, value) in wrong {
        let bundle = t.bundle()?.set(pointer, value);
        run(t, &bundle)?.refused(&[pointer])?;
    }
    for missing in ["/process", "/root", "/process/cwd", "/process/args", "/ociVersion"] {
        run(t, &t.bundle()?.remove(missing))?.refused(&[missing])?;
    }
    Ok(Passed)
}

fn all_problems_at_once(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others stop at the first");
    let bundle = t.bundle()?.set("/process/cwd", "here").set("/process/args", json!([]));
    let bundle = bundle.set("/linux/resources/pids/limit", "many");
    let words = ["3 problems", "/process/cwd", "/process/args", "/linux/resources/pids/limit"];
    run(t, &bundle)?.refused(&words)?;
    Ok(Passed)
}

fn a_version_to_come(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "runc and crun do not look");
    for version in ["2.0.0", "9.9.9", "1", "", "one"] {
        let bundle = t.bundle()?.set("/ociVersion", version);
        run(t, &bundle)?.refused(&["/ociVersion"])?;
    }
    for version in ["1.0.0", "1.0.2-dev", "1.2.1", "1.99.0"] {
        t.run(&t.bundle()?.set("/ociVersion", version))?.expect(0)?;
    }
    Ok(Passed)
}

fn no_root_file_system(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/root/path", "missing");
    run(t, &bundle)?.refused(&["/root/path", "missing"])?;
    let bundle = t.bundle()?.set("/root/path", "/no/such/root");
    run(t, &bundle)?.refused(&["/root/path", "/no/such/root"])?;
    Ok(Passed)
}

fn a_root_that_is_none(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/root/path", "config.json");
    run(t, &bundle)?.refused(&["/root/path", "directory"])?;
    let empty = t.bundle()?;
    fs::remove_dir_all(empty.rootfs())?;
    fs::create_dir(empty.rootfs())?;
    run(t, &empty)?.refused(&["true"])?;
    Ok(Passed)
}

fn an_unknown_namespace(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.push("/linux/namespaces", json!({"type": "netwrok"}));
    let output = run(t, &bundle)?.refused(&["/linux/namespaces", "netwrok"])?;
    if t.is_coracle() {
        output.says(&["network"])?;
    }
    Ok(Passed)
}

fn an_unmapped_user(t: &mut Context) -> Result<Verdict> {
    let id = t.host().euid;
    let map = json!([{"containerID": 0, "hostID": id, "size": 1}]);
    let bundle = || -> Result<Bundle> {
        let bundle = t.bundle()?.namespace("user", None).set("/linux/uidMappings", map.clone());
        Ok(bundle.set("/linux/gidMappings", map.clone()))
    };
    run(t, &bundle()?.set("/process/user/uid", 7))?.refused(&["/process/user/uid", "uid 7"])?;
    run(t, &bundle()?.set("/process/user/gid", 7))?.refused(&["gid 7"])?;
    let none = bundle()?.remove("/linux/uidMappings");
    run(t, &none)?.refused(&["/linux", "uidMappings"])?;
    let beside = bundle()?.set("/linux/uidMappings/0/containerID", 5);
    run(t, &beside)?.refused(&["/linux/uidMappings"])?;
    Ok(Passed)
}

fn no_command(t: &mut Context) -> Result<Verdict> {
    for args in [json!([]), json!([""])] {
        run(t, &t.bundle()?.set("/process/args", args))?.refused(&["/process/args"])?;
    }
    Ok(Passed)
}

/// Engines tell by these words that it is the image's fault.
fn no_program(t: &mut Context) -> Result<Verdict> {
    run(t, &t.bundle()?.args(&["nosuch"]))?.refused(&["nosuch", "executable file not found in"])?;
    let missing = t.bundle()?.args(&["/no/such/program"]);
    run(t, &missing)?.refused(&["/no/such/program", "no such file or directory"])?;
    // At the creation already, when there is still somebody to tell.
    missing.write()?;
    let create = t.command().arg("create").arg("--bundle").arg(missing.directory());
    create.arg(t.id()).run()?.refused(&["/no/such/program"])?;
    Ok(Passed)
}

fn nothing_executable(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["/etc/passwd"]);
    run(t, &bundle)?.refused(&["/etc/passwd", "permission denied"])?;
    run(t, &bundle.args(&["/etc"]))?.refused(&["/etc", "directory"])?;
    Ok(Passed)
}

fn a_broken_program(t: &mut Context) -> Result<Verdict> {
    for contents in ["", "no program\n", "\x7fELF", "#!/no/such/interpreter\n", "#!\n"] {
        let bundle = t.bundle()?.args(&["/program"]);
        let program = bundle.rootfs().join("program");
        fs::write(&program, contents)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        run(t, &bundle)?.refused(&["/program"])?;
    }
    Ok(Passed)
}

fn a_working_directory_that_is_none(t: &mut Context) -> Result<Verdict> {
    for cwd in ["/etc/passwd", "/etc/passwd/below", "/proc/self/fd/7", "/dev/null"] {
        run(t, &t.bundle()?.set("/process/cwd", cwd))?.refused(&["/process/cwd"])?;
    }
    Ok(Passed)
}

/// They may be from the future, and are only mentioned.
fn fields_that_nobody_knows(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others say nothing");
    let output = t.run(&t.bundle()?.set("/linux/fromTheFuture", 1))?.expect(0)?;
    output.says(&["warning", "fromTheFuture"])?;
    Ok(Passed)
}

fn unknown_commands(t: &mut Context) -> Result<Verdict> {
    let output = t.command().arg("statr").run()?;
    check_eq!(output.code(), 3);
    if t.is_coracle() {
        output.says(&["statr", "start"])?;
        t.command().arg("xyzzy").run()?.expect(3)?.says(&["xyzzy", "--help"])?;
        t.command().arg("").run()?.expect(3)?;
    }
    Ok(Passed)
}

fn unknown_flags(t: &mut Context) -> Result<Verdict> {
    t.command()
        .args(["create", "--bundel", "x", "id"])
        .run()?
        .refused(&["--bundel", "--bundle"])?;
    t.command().args(["run", "--xyzzy", "id"]).run()?.refused(&["--xyzzy"])?;
    t.command().args(["list", "-z"]).run()?.refused(&["-z"])?;
    let global = Cmd::new(t.runtime().path()).args(["--rooot", "x", "list"]);
    global.run()?.refused(&["--rooot", "--root"])?;
    t.command().args(["list", "--format", "yaml"]).run()?.refused(&["yaml", "json"])?;
    t.command().args(["run", "--detach=perhaps", "id"]).run()?.refused(&["perhaps"])?;
    Ok(Passed)
}

fn flags_without_values(t: &mut Context) -> Result<Verdict> {
    t.command().args(["create", "--bundle"]).run()?.refused(&["--bundle"])?;
    t.command().args(["run", "--preserve-fds", "x", "id"]).run()?.refused(&["--preserve-fds"])?;
    t.command().args(["run", "--preserve-fds", "-1", "id"]).run()?.refused(&["--preserve-fds"])?;
    Ok(Passed)
}

fn too_few_and_too_many_arguments(t: &mut Context) -> Result<Verdict> {
    for command in ["create", "start", "state", "kill", "delete", "run"] {
        t.command().arg(command).run()?.refused(&[command, "ID"])?;
        t.command().args([command, "a", "b", "c"]).run()?.refused(&[command])?;
    }
    Ok(Passed)
}

fn a_store_that_cannot_be(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    bundle.write()?;
    fs::write(t.path("file"), "")?;
    for root in [t.path("file"), t.path("file/below"), "/proc/store".into(), "/".into()] {
        let command = t.runtime().command().arg("--root").arg(&root).arg("run");
        let command = command.arg("--bundle").arg(bundle.directory()).arg(t.id());
        let shown = root.to_string_lossy();
        command.run()?.refused(&[if shown == "/" { "--root" } else { &shown }])?;
    }
    Ok(Passed)
}

fn a_pid_file_that_cannot_be(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("touch /tmp/executed");
    let flags = ["--pid-file", "/no/such/directory/pid"];
    t.run_with(&bundle, &flags)?.run()?.refused(&["/no/such/directory/pid"])?;
    check!(!bundle.rootfs().join("tmp/executed").exists());
    Ok(Passed)
}

fn a_log_that_cannot_be(t: &mut Context) -> Result<Verdict> {
    let command = || t.runtime().command().arg("--log").arg("/no/such/log");
    command().arg("list").run()?.refused(&["/no/such/log"])?;
    let command = t.runtime().command().args(["--log-format", "xml", "list"]);
    command.run()?.refused(&["xml", "json"])?;
    Ok(Passed)
}

/// A configuration must not be able to forge lines of the log or to drive the terminal.
fn hostile_text_in_messages(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others print it as it is");
    let hostile = "x\u{1b}[31m\r\ncoracle: all is well\n";
    let bundles = [
        t.bundle()?.args(&[hostile]),
        t.bundle()?.set("/process/cwd", format!("/etc/passwd/{hostile}")),
        t.bundle()?.mount(&format!("/{hostile}"), "nosuchfs", hostile, &[hostile]),
        t.bundle()?.set("/hostname", hostile),
        t.bundle()?.set("/root/path", hostile),
        t.bundle()?.set("/linux/sysctl", json!({ hostile: hostile })),
        t.bundle()?.push("/linux/namespaces", json!({"type": hostile})),
    ];
    for bundle in bundles {
        let output = t.run(&bundle)?.expect(1)?;
        check!(!output.stderr.contains('\u{1b}') && !output.stderr.contains('\r'), "{output}");
        check!(!output.stderr.contains("\ncoracle: all is well"), "{output}");
    }
    Ok(Passed)
}
