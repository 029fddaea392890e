//! The shells that completion is for: how they ask, and how they are answered.

use std::ffi::OsString;

use super::Answer;

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// bash, 4.4 or later.
    Bash,
    /// fish, 3.0 or later.
    Fish,
    /// zsh.
    Zsh,
}

impl Shell {
    /// The shell with this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bash" => Self::Bash,
            "fish" => Self::Fish,
            "zsh" => Self::Zsh,
            _ => return None,
        })
    }

    /// What makes the shell ask for completions.
    pub fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("coracle.bash"),
            Self::Fish => include_str!("coracle.fish"),
            Self::Zsh => include_str!("coracle.zsh"),
        }
    }

    /// The answer to `words`, a line for each; `:files` and `:directories` leave it to the shell.
    pub fn answer(self, words: Vec<OsString>) -> String {
        let words = if self == Self::Bash { joined(words) } else { words };
        match Answer::to(&words) {
            Answer::Files => ":files\n".to_owned(),
            Answer::Directories => ":directories\n".to_owned(),
            Answer::Words(found) => {
                found.iter().map(|(word, about)| self.line(word, about) + "\n").collect()
            }
        }
    }

    fn line(self, word: &str, about: &str) -> String {
        match self {
            // It replaces what follows the equals sign.
            Self::Bash => word.rsplit_once('=').map_or(word, |(_, value)| value).to_owned(),
            Self::Fish if !about.is_empty() => format!("{word}\t{about}"),
            Self::Zsh if !about.is_empty() => format!("{word}:{about}"),
            Self::Fish | Self::Zsh => word.to_owned(),
        }
    }
}

/// The words as they were typed: bash takes an equals sign for a word of its own.
fn joined(words: Vec<OsString>) -> Vec<OsString> {
    let mut whole: Vec<OsString> = Vec::new();
    let mut value_follows = false;
    for word in words {
        let is_equals = word == "=";
        match whole.last_mut() {
            Some(last) if is_equals || value_follows => last.push(word),
            _ => whole.push(word),
        }
        value_follows = is_equals;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(shell: Shell, words: &[&str]) -> String {
        shell.answer(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn bash_splits_at_equals_signs() {
        assert_eq!(answer(Shell::Bash, &["list", "--format", "=", "j"]), "json\n");
        assert_eq!(answer(Shell::Bash, &["list", "--format", "="]), "table\njson\n");
        assert_eq!(
            answer(Shell::Bash, &["--log-format", "=", "json", "sta"]),
            "start\nstate\nstats\n"
        );
    }

    #[test]
    fn others_get_a_description() {
        let about = "print what this version can do, as JSON for engines";
        assert_eq!(answer(Shell::Zsh, &["fea"]), format!("features:{about}\n"));
        assert_eq!(answer(Shell::Fish, &["fea"]), format!("features\t{about}\n"));
        assert_eq!(answer(Shell::Fish, &["list", "--format=j"]), "--format=json\n");
        assert_eq!(answer(Shell::Fish, &["spec", "-b", ""]), ":directories\n");
    }
}
