//! Manual pages, from the table; see man(7) for the language.

use std::fmt::Write;

use coracle_spec::OCI_VERSION;

use crate::table::{COMMANDS, Command, Flag, GLOBALS};

/// What is to be known of all commands.
const COMMON: &str = "\
.SH EXIT STATUS
.TP
.B 0
All was done.
.TP
.B 1
Something failed; what, is printed to standard error or to the log.
.TP
.B 3
There is no such command.
.PP
.B coracle run
and
.B coracle exec
end as the command in the container ends: with its exit status, or with 128 and the number of the signal that
ended it. A failure of
.B coracle exec
itself is 255.
.SH ENVIRONMENT
.TP
.B XDG_RUNTIME_DIR
Where the containers of an ordinary user are recorded, if
.B \\-\\-root
is not given.
.SH FILES
.TP
.I /run/coracle
Where the containers of root are recorded.
.TP
.I config.json
In the bundle: what the container shall be.
";

/// The page of the program: its name and text.
pub fn overview() -> (String, String) {
    let mut page = Page::begin("coracle", "run Linux containers from OCI bundles");
    page.line(".SH SYNOPSIS\n.B coracle");
    page.line(".RI [ \"global flags\" ]\n.I COMMAND\n.RI [ flags ]\n.RI [ arguments ]");
    page.line(".SH DESCRIPTION");
    page.text(&format!(
        "coracle creates, runs and deletes containers as the runtime specification {OCI_VERSION} of the \
         Open Container Initiative describes them. A container is made from a bundle: a directory with a \
         config.json, which coracle spec writes, and a root file system."
    ));
    page.line(".SH COMMANDS");
    for command in COMMANDS {
        page.item(&format!(".BR {} (1)", escape(&page_name(command))), command.about);
    }
    page.flags("GLOBAL FLAGS", GLOBALS);
    page.line(COMMON.trim_end());
    page.line(".SH SEE ALSO\n.BR podman (1),\n.BR runc (8),\n.BR namespaces (7),\n.BR cgroups (7)");
    ("coracle.1".to_owned(), page.0)
}

/// The page of a command: its name and text.
pub fn page(command: &Command) -> (String, String) {
    let name = page_name(command);
    let mut page = Page::begin(&name, command.about);
    page.line(&format!(".SH SYNOPSIS\n.B coracle {}", escape(command.name)));
    page.line(".RI [ flags ]");
    if !command.usage.is_empty() {
        page.line(&format!(".I {}", escape(command.usage)));
    }
    page.line(".SH DESCRIPTION");
    page.text(&sentence(command.about));
    page.flags("FLAGS", command.flags);
    page.line(".SH SEE ALSO\n.BR coracle (1)");
    (format!("{name}.1"), page.0)
}

/// The overview and the page of every command.
pub fn all() -> impl Iterator<Item = (String, String)> {
    std::iter::once(overview()).chain(COMMANDS.iter().map(page))
}

fn page_name(command: &Command) -> String {
    format!("coracle-{}", command.name)
}

/// A manual page that is being written.
struct Page(String);

impl Page {
    fn begin(name: &str, about: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let mut page = Self(String::new());
        let title = name.to_uppercase();
        page.line(&format!(".TH {} 1 \"\" \"coracle {version}\" \"Coracle\"", escape(&title)));
        page.line(&format!(".SH NAME\n{} \\- {}", escape(name), escape(about)));
        page
    }

    /// A line in the language of manual pages.
    fn line(&mut self, line: &str) {
        // Writing to a string cannot fail.
        writeln!(self.0, "{line}").unwrap_or_default();
    }

    fn text(&mut self, text: &str) {
        self.line(&escape(text));
    }

    fn item(&mut self, head: &str, about: &str) {
        self.line(&format!(".TP\n{head}"));
        self.text(&sentence(about));
    }

    fn flags(&mut self, title: &str, flags: &[Flag]) {
        self.line(&format!(".SH {title}"));
        for flag in flags {
            let bold = |name: &str| format!("\\fB{}\\fR", escape(name));
            let short = flag.short.map(|short| bold(&format!("-{short}")) + ", ");
            let value = flag.value.map(|value| format!(" \\fI{}\\fR", escape(value)));
            let long = bold(&format!("--{}", flag.long));
            let head = [short.unwrap_or_default(), long, value.unwrap_or_default()].concat();
            self.item(&head, flag.about);
        }
    }
}

/// The text of the table as a sentence of its own.
fn sentence(about: &str) -> String {
    let mut letters = about.chars();
    // A path or an option keeps its case.
    let first = letters.next().map(|letter| match about.split(' ').next() {
        Some(word) if word.contains(['/', '-', '(']) => letter.to_string(),
        _ => letter.to_uppercase().to_string(),
    });
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// Text that has no meaning in the language; a hyphen stays one that can be typed.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_flags_of_its_command() {
        let kill = COMMANDS.iter().find(|command| command.name == "kill").unwrap();
        let (name, text) = page(kill);
        assert_eq!(name, "coracle-kill.1");
        for part in [
            ".TH CORACLE\\-KILL 1",
            "coracle\\-kill \\- send a signal",
            ".I ID [SIGNAL]",
            "\\fB\\-a\\fR, \\fB\\-\\-all\\fR\nAccept a container",
        ] {
            assert!(text.contains(part), "{part:?} is missing:\n{text}");
        }
    }

    #[test]
    fn the_overview_has_every_command() {
        let (_, text) = overview();
        assert!(COMMANDS.iter().all(|command| text.contains(&escape(&page_name(command)))));
        assert_eq!(all().count(), COMMANDS.len() + 1);
    }

    #[test]
    fn text_is_only_text() {
        assert_eq!(escape(".x \\y a-b"), "\\&.x \\ey a\\-b");
        assert_eq!(sentence("print it"), "Print it.");
        assert_eq!(sentence("execve(2) never"), "execve(2) never.");
    }
}
