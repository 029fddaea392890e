//! `completion`, asked by real shells.

use std::env;
use std::ffi::OsString;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Cmd, Context, Result, TerminalSession, Test, Verdict, check, check_eq, check_has, need, tests,
};

pub const TESTS: &[Test] = tests![
    answers_bash,
    completes_on_the_tabulator_key_of_bash,
    completes_on_the_tabulator_key_of_zsh,
    answers_fish,
    refuses_other_shells,
];

/// A shell that finds the command under its name.
fn shell(t: &Context, name: &str) -> Cmd {
    let mut path = OsString::from(t.runtime().path().parent().unwrap_or(t.runtime().path()));
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    Cmd::new(name).env("PATH", path).env("HOME", t.path("")).env("TERM", "dumb")
}

/// What the function for bash replies when these are the words on the line.
fn bash_replies(t: &Context, words: &[&str]) -> Result<Vec<String>> {
    let script = "source <(coracle completion bash) && compopt() { echo \"[$*]\"; }
        COMP_WORDS=(coracle \"$@\") COMP_CWORD=$#
        _coracle coracle \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = shell(t, "bash").args(["-c", script, "bash"]).args(words).succeed()?;
    check_eq!(output.stderr, "");
    Ok(output.lines().iter().map(|line| (*line).to_owned()).filter(|it| !it.is_empty()).collect())
}

fn answers_bash(t: &mut Context) -> Result<Verdict> {
    let store = t.store();
    let store = store.to_string_lossy();
    let containers = [t.create(&t.bundle()?)?, t.create(&t.bundle()?)?];
    let ids = containers.each_ref().map(|container| container.id());
    for (words, expected) in [
        (&["fea"][..], &["features"][..]),
        (&["--debug", "sta"], &["start", "state", "stats"]),
        (&["delete", "--f"], &["--force"]),
        (&["list", "--format", ""], &["table", "json"]),
        (&["list", "--format", "=", "js"], &["json"]),
        (&["list", "-f", "t"], &["table"]),
        (&["--root", &store, "state", ""], &ids),
        (&["--root", "=", &store, "kill", ids[0]], &ids[..1]),
        (&["--root", &store, "stats", "--no-stream", "x", "y", ""], &ids),
        (&["--root", "/nowhere", "state", ""], &[]),
        (&["kill", "x", "WIN"], &["WINCH"]),
        (&["create", "--bundle", "/"], &["[-o dirnames]"]),
        (&["create", "--pid-file", ""], &["[-o default]"]),
        (&["create", "--pid-file", "=", "x"], &["[-o default]"]),
        (&["create", "--preserve-fds", ""], &[]),
        (&["nosuch", ""], &[]),
    ] {
        check_eq!((words, bash_replies(t, words)?), (words, owned(expected)));
    }
    let commands = bash_replies(t, &[""])?;
    check!(commands.iter().any(|it| it == "run") && commands.iter().any(|it| it == "completion"));
    containers.iter().try_for_each(|container| container.delete().map(drop))?;
    Ok(Passed)
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Types commands that are completed, then executed. Ahead of the shell's prompts: what is typed waits for them.
fn type_and_tabulate(mut session: TerminalSession) -> Result<()> {
    session.send("coracle --vers\t\n")?;
    session.wait_for("coracle version")?;
    session.send("coracle fea\t --he\t\n")?;
    session.wait_for("usage: coracle features")?;
    session.send("head -n 1 /etc/passw\t\n")?;
    session.wait_for("root:")?;
    session.send("coracle run --pid-file /etc/passw\t --help\n")?;
    // With a bell in between: there is /etc/passwd-, too.
    let seen = session.wait_for("wait for its end")?.replace('\u{7}', "");
    check_has!(seen, "/etc/passwd");
    session.send("exit\n")?;
    session.finish()?.0.expect(0)?;
    Ok(())
}

fn completes_on_the_tabulator_key_of_bash(t: &mut Context) -> Result<Verdict> {
    std::fs::write(t.path("rc"), "source <(coracle completion bash)")?;
    let bash = shell(t, "bash").arg("--rcfile").arg(t.path("rc")).arg("-i");
    type_and_tabulate(TerminalSession::start(bash, 50, 200)?)?;
    Ok(Passed)
}

fn completes_on_the_tabulator_key_of_zsh(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("zsh"), "zsh is not installed");
    let script = t.runtime().command().args(["completion", "zsh"]).succeed()?;
    std::fs::write(t.path("_coracle"), &script.stdout)?;
    shell(t, "zsh").args(["-f", "-n"]).arg(t.path("_coracle")).succeed()?;
    // As a file that compinit finds, and by itself.
    for load in ["fpath=($HOME $fpath); compinit -u -D", "compinit -u -D; source $HOME/_coracle"] {
        std::fs::write(t.path(".zshrc"), format!("autoload -U compinit; {load}\n"))?;
        let zsh = shell(t, "zsh").args(["-o", "no_global_rcs", "-i"]).without_env("ZDOTDIR");
        type_and_tabulate(TerminalSession::start(zsh, 50, 200)?)?;
    }
    Ok(Passed)
}

fn answers_fish(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("fish"), "fish is not installed");
    let script = t.runtime().command().args(["completion", "fish"]).succeed()?;
    std::fs::write(t.path("coracle.fish"), &script.stdout)?;
    shell(t, "fish").arg("-n").arg(t.path("coracle.fish")).succeed()?;
    let container = t.create(&t.bundle()?)?;
    let states = format!("coracle --root {} state ", t.store().display());
    let created = format!("{}\tcreated", container.id());
    for (line, expected) in [
        ("coracle fea", "features\tprint what this version can do, as JSON for engines"),
        ("coracle list --format=t", "--format=table"),
        ("coracle list -f j", "json"),
        ("coracle spec --bundle=/et", "--bundle=/etc/"),
        ("coracle spec -b /et", "/etc/"),
        ("coracle run --pid-file /etc/passw", "/etc/passwd"),
        (&states, &created),
    ] {
        let script = format!("source $HOME/coracle.fish; complete -C '{line}'");
        let output = shell(t, "fish").args(["--no-config", "-c", &script]).succeed()?;
        check!(output.lines().contains(&expected), "{line:?}: {output}");
    }
    container.delete()?;
    Ok(Passed)
}

fn refuses_other_shells(t: &mut Context) -> Result<Verdict> {
    let completion = |args: &[&str]| t.command().arg("completion").args(args).run();
    completion(&["csh"])?.refused(&["csh", "bash, zsh or fish"])?;
    completion(&[])?.refused(&["usage"])?;
    Ok(Passed)
}
