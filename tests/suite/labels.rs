//! Labels and profiles of SELinux and AppArmor, on processes, keyrings and mounts.
//!
//! `cargo xtask test` runs these in a guest with each of the modules, too.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Context, Result, Suite, Test, Verdict, check, check_eq, check_has, need,
    parse_mountinfo, tests,
};
use serde_json::json;

use crate::mounts::at;
use crate::namespaces::mapped;
use crate::rootless;

pub fn add_to(suite: Suite) -> Suite {
    suite.group("labels", TESTS)
}

const TESTS: &[Test] = tests![
    runs_under_an_apparmor_profile,
    executes_under_an_apparmor_profile,
    runs_under_both_profiles_where_it_cannot_leave_its_own,
    runs_with_an_selinux_label,
    labels_its_keyring,
    labels_file_systems,
    never_runs_without_what_is_asked_for,
    never_executes_without_what_is_asked_for,
];

/// Profiles that are loaded while a test runs.
struct Profiles(String);

impl Profiles {
    fn load(text: String) -> Result<Self> {
        Self::parser("-r", &text)?;
        Ok(Self(text))
    }

    fn unload(self) -> Result<()> {
        Self::parser("-R", &self.0)
    }

    fn parser(action: &str, text: &str) -> Result<()> {
        Cmd::new("apparmor_parser").args([action, "-K"]).input(text)?.succeed().map(drop)
    }
}

/// Who runs a container. A user without privileges comes last, and takes over the directory of the states.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Root,
    RootInUserNamespace,
    User,
}

impl By {
    const ALL: [Self; 3] = [Self::Root, Self::RootInUserNamespace, Self::User];

    fn bundle(self, t: &Context) -> Result<Bundle> {
        match self {
            Self::Root => t.bundle(),
            Self::RootInUserNamespace => mapped(t),
            Self::User => rootless::bundle(t),
        }
    }

    fn run(self, t: &Context, bundle: &Bundle) -> Result<Cmd> {
        let command = t.run_with(bundle, &[])?;
        Ok(if self == Self::User { t.as_user(command) } else { command })
    }
}

/// What a process shows of its label.
const CURRENT: &[&str] = &["cat", "/proc/self/attr/current"];

fn runs_under_an_apparmor_profile(t: &mut Context) -> Result<Verdict> {
    need!(t.host().apparmor, "AppArmor is not active");
    need!(t.host().has_program("apparmor_parser"), "no apparmor_parser");
    let name = t.id();
    let profiles = Profiles::load(format!("profile {name} {{ file, deny /etc/passwd r, }}\n"))?;
    let script =
        "cat /proc/self/attr/current; cat /etc/passwd; cat /etc/group > /dev/null && echo read";
    for by in By::ALL {
        for no_new_privileges in [true, false] {
            let bundle = by.bundle(t)?.set("/process/apparmorProfile", name.clone());
            let bundle = bundle.set("/process/noNewPrivileges", no_new_privileges).script(script);
            let output = by.run(t, &bundle)?.succeed()?;
            check_eq!(output.lines(), [format!("{name} (enforce)"), "read".to_owned()]);
            check!(output.stderr.contains("ermission denied"), "{by:?}: {output}");
        }
    }
    profiles.unload()?;
    Ok(Passed)
}

fn executes_under_an_apparmor_profile(t: &mut Context) -> Result<Verdict> {
    need!(t.host().apparmor, "AppArmor is not active");
    need!(t.host().has_program("apparmor_parser"), "no apparmor_parser");
    let [of_container, other] = [t.id(), t.id()];
    let profile = |name: &str| format!("profile {name} flags=(attach_disconnected) {{ file, }}\n");
    let profiles = Profiles::load(profile(&of_container) + &profile(&other))?;
    let bundle = t.bundle()?.set("/process/apparmorProfile", of_container.clone());
    let container = t.start(&bundle.idle())?;
    let current = |flags: &[&str]| -> Result<String> {
        Ok(container.exec_with(flags, CURRENT).succeed()?.text().to_owned())
    };
    check_eq!(current(&[])?, format!("{of_container} (enforce)"));
    check_eq!(current(&["--apparmor", &other])?, format!("{other} (enforce)"));
    let output = container.exec_with(&["--apparmor", "no-such-profile"], &["echo", "x"]).run()?;
    check!(output.stdout.is_empty(), "{output}");
    output.not_executed(&["no-such-profile"])?;
    container.delete_forcibly()?;
    profiles.unload()?;
    Ok(Passed)
}

/// With a profile of its own that does not let it change to another one, as that of user namespaces.
fn runs_under_both_profiles_where_it_cannot_leave_its_own(t: &mut Context) -> Result<Verdict> {
    need!(t.host().apparmor, "AppArmor is not active");
    need!(t.host().has_program("apparmor_parser"), "no apparmor_parser");
    need!(t.is_coracle(), "others refuse");
    let [outer, inner] = [t.id(), t.id()];
    let all = "file, capability, mount, umount, pivot_root, network, unix, signal, ptrace,";
    let profiles = Profiles::load(format!(
        "profile {outer} flags=(attach_disconnected) {{ {all} change_profile -> &**, }}\n\
         profile {inner} flags=(attach_disconnected) {{ file, deny /etc/passwd r, }}\n"
    ))?;
    let script = "cat /proc/self/attr/current; cat /etc/passwd 2> /dev/null; true";
    for by in By::ALL {
        let bundle = by.bundle(t)?.set("/process/apparmorProfile", inner.clone()).script(script);
        let confined = by.run(t, &bundle)?.through(["aa-exec", "-p", &outer, "--"]);
        let output = confined.succeed()?;
        check_has!(output.stdout, outer.as_str(), inner.as_str(), "//&");
        check_eq!((by, output.lines().len()), (by, 1));
    }
    profiles.unload()?;
    Ok(Passed)
}

fn label(category: u32) -> String {
    format!("system_u:system_r:container_t:s0:c1,c{category}")
}

fn runs_with_an_selinux_label(t: &mut Context) -> Result<Verdict> {
    need!(t.host().selinux, "SELinux is not active");
    need!(t.is_coracle(), "the packaged peers differ in what they label");
    let container = t.start(&t.bundle()?.set("/process/selinuxLabel", label(2)).idle())?;
    let exec = |flags: &[&str]| -> Result<String> {
        let output = container.exec_with(flags, CURRENT).succeed()?;
        Ok(output.text().trim_end_matches('\0').to_owned())
    };
    check_eq!(exec(&[])?, label(2));
    check_eq!(exec(&["--process-label", &label(3)])?, label(3));
    let wrong = container.exec_with(&["--process-label", "no-label"], &["echo", "x"]).run()?;
    check!(wrong.stdout.is_empty(), "{wrong}");
    wrong.not_executed(&["no-label"])?;
    container.delete_forcibly()?;
    for by in By::ALL {
        let bundle = by.bundle(t)?.set("/process/selinuxLabel", label(4)).args(CURRENT);
        let output = by.run(t, &bundle)?.succeed()?;
        check_eq!((by, output.text().trim_end_matches('\0')), (by, label(4).as_str()));
    }
    Ok(Passed)
}

/// keyctl(2) with `KEYCTL_GET_SECURITY`, by the number that it has on x86-64, where the guests run.
const LABEL_OF_KEY: &str = r#"$l = "\0" x 256; $n = syscall(250, 17, hex($ARGV[0]), $l, 256); print substr($l, 0, $n - 1)"#;

/// What the container keeps in its keyring is for nobody with another label.
fn labels_its_keyring(t: &mut Context) -> Result<Verdict> {
    need!(t.host().selinux, "SELinux is not active");
    need!(t.is_coracle(), "the packaged peers differ in what they label");
    for bundle in [t.bundle()?, mapped(t)?] {
        let owner = bundle.spec()["linux"]["uidMappings"][0]["hostID"].as_u64().unwrap_or(0);
        let bundle =
            bundle.set("/process/selinuxLabel", label(2)).set("/linux/maskedPaths", json!([]));
        let container = t.start(&bundle.idle())?;
        // Each in its keyring, by the number that the host knows it by, too.
        for flags in [&[][..], &["--process-label", &label(3)]] {
            let output = container.exec_with(flags, &["cat", "/proc/keys"]).succeed()?;
            let name = format!("_ses.{}", container.id());
            let line = output.stdout.lines().find(|line| line.contains(&name));
            let serial = line.and_then(|line| line.split_whitespace().next()).unwrap_or_default();
            let seen = Cmd::new("perl").args(["-e", LABEL_OF_KEY, serial]);
            let owner = format!("--reuid={owner}");
            check_eq!(seen.through(["setpriv", &owner]).succeed()?.text(), label(2));
        }
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn labels_file_systems(t: &mut Context) -> Result<Verdict> {
    let label = "system_u:object_r:tmp_t:s0:c1,c2";
    let bundle = t.bundle()?.set("/linux/mountLabel", label);
    if !t.host().selinux {
        need!(t.is_coracle(), "others ignore it without SELinux");
        t.run(&bundle)?.refused(&["/dev", "/linux/mountLabel", "context"])?;
        return Ok(Passed);
    }
    for by in By::ALL {
        let bundle = by.bundle(t)?.set("/linux/mountLabel", label);
        let output = by.run(t, &bundle.args(&["cat", "/proc/self/mountinfo"]))?.succeed()?;
        let mounts = parse_mountinfo(&output.stdout)?;
        for target in ["/dev", "/dev/shm", "/dev/pts"] {
            let shown = at(&mounts, target)?.super_options.join(",");
            check_has!(shown, "context=", "tmp_t:s0:c1,c2");
        }
        check!(!at(&mounts, "/proc")?.super_options.join(",").contains("context="));
    }
    Ok(Passed)
}

/// A field of the description, a flag of `exec`, what is asked for, and whether its module is there: then it
/// does not know that.
fn unknown(t: &Context) -> [([&'static str; 2], &'static str, &'static str, bool); 2] {
    let label = if t.host().selinux { "no-label" } else { "system_u:system_r:container_t:s0" };
    [
        (
            ["/process/apparmorProfile", "--apparmor"],
            "no-such-profile",
            "AppArmor",
            t.host().apparmor,
        ),
        (["/process/selinuxLabel", "--process-label"], label, "SELinux", t.host().selinux),
    ]
}

fn never_runs_without_what_is_asked_for(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others run it without, or say other words");
    for by in By::ALL {
        for ([field, _], asked, module, there) in unknown(t) {
            let bundle = by.bundle(t)?.set(field, asked).script("echo unconfined");
            let output = by.run(t, &bundle)?.run()?;
            check!(output.stdout.is_empty(), "{output}");
            let why = if there { asked } else { "not enabled on this host" };
            output.refused(&[field, module, why])?;
        }
    }
    Ok(Passed)
}

fn never_executes_without_what_is_asked_for(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others run it without");
    let container = t.start(&t.bundle()?.idle())?;
    for ([_, flag], asked, module, there) in unknown(t) {
        let output = container.exec_with(&[flag, asked], &["echo", "unconfined"]).run()?;
        check!(output.stdout.is_empty(), "{output}");
        output.not_executed(&[module, if there { asked } else { "not enabled on this host" }])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
