//! What stands in a place of the command line.

/// What stands in a place of the command line, by the word for it in a usage line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ID`: a container.
    Container,
    /// `COMMAND`: one of ours.
    Command,
    /// `SIGNAL`: its name or number.
    Signal,
    /// `FILE`, `PATH` or `SOCKET`.
    File,
    /// `DIR`.
    Directory,
    /// Words with `|` between them: one of these.
    Choice(&'static str),
    /// Any other word: anything.
    Free,
}

impl Kind {
    /// What `word` stands for.
    pub fn of(word: &'static str) -> Self {
        match word {
            "ID" => Self::Container,
            "COMMAND" => Self::Command,
            "SIGNAL" => Self::Signal,
            "FILE" | "PATH" | "SOCKET" => Self::File,
            "DIR" => Self::Directory,
            choice if choice.contains('|') => Self::Choice(choice),
            _ => Self::Free,
        }
    }

    /// The words of a choice; none for what is no choice.
    pub fn choices(self) -> impl Iterator<Item = &'static str> {
        let words = if let Self::Choice(words) = self { words } else { "" };
        words.split('|').filter(|word| !word.is_empty())
    }
}
