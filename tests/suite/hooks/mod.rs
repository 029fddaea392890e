//! `/hooks`.

mod failures;
mod input;
mod interruptions;
mod order;
mod surroundings;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use coracle_testkit::{Bundle, Container, Context, Result, Suite, eventually};
use serde_json::{Value, json};

use crate::rootless;

pub fn add_to(suite: Suite) -> Suite {
    suite
        .group_for_all("hooks::order", order::TESTS_FOR_ALL)
        .group("hooks::order", order::TESTS)
        .group_for_all("hooks::input", input::TESTS_FOR_ALL)
        .group("hooks::input", input::TESTS)
        .group("hooks::surroundings", surroundings::TESTS)
        .group_for_all("hooks::failures", failures::TESTS_FOR_ALL)
        .group("hooks::failures", failures::TESTS)
        .group("hooks::interruptions", interruptions::TESTS)
}

/// All kinds, in the order in which they run.
const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The kinds that run before the container is created.
const CREATING: [&str; 3] = ["prestart", "createRuntime", "createContainer"];

/// The kinds that run in the container's namespaces.
const INSIDE: [&str; 2] = ["createContainer", "startContainer"];

/// A hook that is a shell script.
fn shell(script: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", script]})
}

/// A directory with the same path on the host and in the container.
struct Notes(PathBuf);

impl Notes {
    /// Makes it, and mounts it in the bundle.
    fn new(t: &Context, bundle: Bundle) -> Result<(Self, Bundle)> {
        let directory = t.path(&format!("notes-{}", t.id()));
        fs::create_dir(&directory)?;
        t.give_to_user(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777))?;
        let path = directory.to_string_lossy().into_owned();
        let bundle = bundle.mount(&path, "bind", &path, &["bind", "rw"]);
        Ok((Self(directory), bundle))
    }

    /// The path of a note.
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// Of a script: adds a line to the list.
    fn add(&self, line: &str) -> String {
        format!("echo {line} >> {}", self.path("list"))
    }

    /// What is in a note; nothing if it is not there.
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// The list.
    fn list(&self) -> Vec<String> {
        self.text("list").lines().map(str::to_owned).collect()
    }

    /// Waits until something has written the note.
    fn wait_for(&self, name: &str) -> Result<()> {
        eventually(name, || Ok((!self.text(name).is_empty()).then_some(())))
    }
}

/// Adds a hook of each kind; `script` makes the script of the kind.
fn with_all(bundle: Bundle, script: impl Fn(&str) -> String) -> Bundle {
    KINDS
        .iter()
        .fold(bundle, |bundle, kind| bundle.push(&format!("/hooks/{kind}"), shell(&script(kind))))
}

/// How a container is made: by root or by a user without privileges.
#[derive(Debug, Clone, Copy)]
enum Maker {
    Root,
    User,
}

impl Maker {
    /// Those that these tests can be; the user is last, as it takes the store.
    fn all(t: &Context) -> &'static [Self] {
        if t.host().is_root() { &[Self::Root, Self::User] } else { &[Self::User] }
    }

    fn bundle(self, t: &Context) -> Result<Bundle> {
        match self {
            Self::Root => t.bundle(),
            Self::User => rootless::bundle(t),
        }
    }

    fn create(self, t: &Context, bundle: &Bundle) -> Result<Container> {
        match self {
            Self::Root => t.create(bundle),
            Self::User => rootless::create(t, bundle),
        }
    }

    /// The command that runs the bundle, and the id of the container.
    fn run(self, t: &Context, bundle: &Bundle) -> Result<(coracle_testkit::Cmd, String)> {
        let (command, id) = t.run_as(bundle, &[])?;
        Ok(match self {
            Self::Root => (command, id),
            Self::User => (t.as_user(command), id),
        })
    }
}
