//! The output of the suite, with the result as its last line.

use std::io::{self, Read, Write};

const RESULT: &[u8] = b"test result:";

/// Copies everything at once, but for the line with the result, which is kept for the end.
pub fn relay(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut relay = Relay::default();
    let mut buffer = [0; 8192];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let passed = relay.pass(&buffer[..count]);
        to.write_all(&passed)?;
        to.flush()?;
    }
    to.write_all(&relay.line)?;
    to.write_all(&relay.result)?;
    to.flush()
}

#[derive(Default)]
struct Relay {
    /// The beginning of a line that may turn out to be the result.
    line: Vec<u8>,
    /// The line is none that is kept.
    passing: bool,
    result: Vec<u8>,
}

impl Relay {
    /// What of `bytes` can be printed now.
    fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::new();
        for byte in bytes {
            self.line.push(*byte);
            if !self.passing && !self.could_be_result() {
                self.passing = true;
            }
            if self.passing {
                passed.append(&mut self.line);
            }
            if *byte == b'\n' {
                self.result.append(&mut self.line);
                self.passing = false;
            }
        }
        passed
    }

    fn could_be_result(&self) -> bool {
        self.line.starts_with(RESULT) || RESULT.starts_with(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relayed(text: &str) -> String {
        let mut printed = Vec::new();
        relay(text.as_bytes(), &mut printed).unwrap();
        String::from_utf8(printed).unwrap()
    }

    #[test]
    fn the_result_comes_last() {
        assert_eq!(
            relayed("test a ... ok\n\ntest result: ok. 1\n\nskipped: 0\n"),
            "test a ... ok\n\n\nskipped: 0\ntest result: ok. 1\n"
        );
        assert_eq!(relayed("test res"), "test res");
        assert_eq!(relayed(""), "");
    }

    #[test]
    fn an_unfinished_line_is_shown_at_once() {
        let mut relay = Relay::default();
        assert_eq!(relay.pass(b"test a::b ... "), b"test a::b ... ");
        assert_eq!(relay.pass(b"ok\ntest resu"), b"ok\n");
        assert_eq!(relay.pass(b"lts ... "), b"test results ... ");
    }
}
