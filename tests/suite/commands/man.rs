//! `man`, `--help` and `help`.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Cmd, Context, Result, Test, Verdict, check, check_eq, check_has, need, tests,
};

pub const TESTS: &[Test] =
    tests![prints_pages, writes_all_pages, is_accepted_by_man, explains_every_flag];

fn commands(t: &Context) -> Result<Vec<String>> {
    let output = t.runtime().command().args(["completion", "bash", "--", ""]).succeed()?;
    Ok(output.lines().iter().map(|name| (*name).to_owned()).collect())
}

fn prints_pages(t: &mut Context) -> Result<Verdict> {
    let page = |args: &[&str]| t.runtime().command().arg("man").args(args).run();
    check_has!(page(&[])?.expect(0)?.stdout, ".TH CORACLE 1", "coracle\\-run", "EXIT STATUS");
    check_has!(page(&["kill"])?.expect(0)?.stdout, ".TH CORACLE\\-KILL 1", "\\-\\-all");
    page(&["kil"])?.refused(&["did you mean kill?"])?;
    page(&["kill", "run"])?.refused(&["usage"])?;
    Ok(Passed)
}

fn writes_all_pages(t: &mut Context) -> Result<Verdict> {
    let directory = t.path("man/man1");
    let write = || t.runtime().command().args(["man", "--output"]).arg(&directory);
    check_eq!(write().succeed()?.stdout, "");
    let mut expected = commands(t)?.iter().map(|it| format!("coracle-{it}.1")).collect::<Vec<_>>();
    expected.push("coracle.1".to_owned());
    expected.sort();
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory)? {
        found.push(entry?.file_name().to_string_lossy().into_owned());
    }
    found.sort();
    check_eq!(found, expected);
    fs::write(t.path("file"), "")?;
    let command = t.runtime().command().args(["man", "--output"]).arg(t.path("file/x")).arg("run");
    command.run()?.refused(&["file/x"])?;
    Ok(Passed)
}

fn is_accepted_by_man(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("man"), "man is not installed");
    t.runtime().command().args(["man", "--output"]).arg(t.path("man1")).succeed()?;
    for entry in fs::read_dir(t.path("man1"))? {
        let path = entry?.path();
        let man = Cmd::new("man").args(["--warnings", "--encoding=utf8", "-l"]).arg(&path);
        let output = man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8").succeed()?;
        check!(output.stderr.is_empty() && output.stdout.contains("SEE ALSO"), "{output}");
        check!(!output.stdout.contains("\\-"), "{output}");
    }
    Ok(Passed)
}

fn explains_every_flag(t: &mut Context) -> Result<Verdict> {
    let help = |args: &[&str]| t.runtime().command().args(args).succeed();
    for command in commands(t)? {
        let text = help(&[&command, "--help"])?;
        check_eq!(text.stdout, help(&["help", &command])?.stdout);
        let flags = text.lines().into_iter().skip_while(|line| *line != "flags:").skip(1);
        let flags: Vec<_> = flags.map(str::to_owned).collect();
        check!(flags.iter().any(|line| line.contains("--help")), "{text}");
        for flag in flags {
            // The name, perhaps a word for the value, and some words about it.
            check!(flag.contains("--") && flag.split_whitespace().count() > 3, "{command}: {flag}");
        }
    }
    t.runtime().command().args(["help", "nosuch"]).run()?.expect(3)?;
    Ok(Passed)
}
