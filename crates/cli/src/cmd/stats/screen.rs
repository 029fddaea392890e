//! Where `coracle stats` shows its table.

use coracle_process::{WindowSize, window_size};

use super::super::print;
use crate::error::Result;

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
const CLEAR_TO_END_OF_SCREEN: &str = "\x1b[J";

/// Standard output: a terminal, on which each table takes the place of the one before, or something else,
/// which gets lines. The cursor of a terminal is hidden while this lives.
pub struct Screen {
    live: bool,
    /// How many lines were shown last.
    shown: usize,
}

impl Screen {
    /// With `once` nothing is replaced on a terminal, either.
    pub fn open(once: bool) -> Result<Self> {
        let screen = Self { live: !once && rustix::termios::isatty(std::io::stdout()), shown: 0 };
        if screen.live {
            print(HIDE_CURSOR)?;
        }
        Ok(screen)
    }

    /// Are tables replaced?
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Shows a table, the first line of which is the heading.
    pub fn show(&mut self, lines: &[String]) -> Result<()> {
        if self.live {
            let lines = fitting(lines, window_size(std::io::stdout())?);
            let text = redrawn(&lines, self.shown);
            self.shown = lines.len();
            return print(&text);
        }
        // The heading once.
        let lines = &lines[usize::from(self.shown > 0)..];
        self.shown += lines.len();
        print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.live {
            // A terminal that has gone has no cursor.
            print(SHOW_CURSOR).unwrap_or_default();
        }
    }
}

/// As much of the lines as the window shows: a longer line would take the place of two, and what has
/// scrolled out cannot be replaced. A terminal that does not know its size shows everything.
fn fitting(lines: &[String], window: WindowSize) -> Vec<&str> {
    let limit = |size: u16| if size == 0 { usize::MAX } else { size.into() };
    // The cursor is below the last one.
    let most = limit(window.rows).saturating_sub(1).max(1);
    let cut = |line: &str| line.len().min(limit(window.columns));
    lines.iter().take(most).map(|line| line.get(..cut(line)).unwrap_or(line)).collect()
}

/// The lines in the place of as many as were `shown` before.
fn redrawn(lines: &[&str], shown: usize) -> String {
    let up = if shown > 0 { format!("\x1b[{shown}F") } else { String::new() };
    let lines: String =
        lines.iter().map(|line| format!("{line}{CLEAR_TO_END_OF_LINE}\n")).collect();
    format!("{up}{lines}{CLEAR_TO_END_OF_SCREEN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_take_the_place_of_others() {
        assert_eq!(redrawn(&["a", "b"], 0), "a\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(redrawn(&["a"], 2), "\x1b[2Fa\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_window_shows_what_fits() {
        let lines = ["12345", "6789", "0"].map(str::to_owned);
        let fitting = |rows, columns| fitting(&lines, WindowSize { rows, columns });
        assert_eq!(fitting(24, 80), ["12345", "6789", "0"]);
        assert_eq!(fitting(3, 4), ["1234", "6789"]);
        assert_eq!(fitting(1, 80), ["12345"]);
        assert_eq!(fitting(0, 0), ["12345", "6789", "0"]);
    }
}
