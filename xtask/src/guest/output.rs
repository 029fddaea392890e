//! The stream from the guest: the command's output, then the marker and the command's status.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context;

/// How a guest's run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The command's status.
    Status(u8),
    TimedOut,
    /// The guest ended without a word about the command.
    Died,
}

/// What precedes the status: new for every run, so that no command can print it by chance.
pub fn marker() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("\0coracle-guest {random:016x} ")
}

/// Copies the output to `out` until the guest's end or `timeout`.
pub fn relay(
    mut stream: UnixStream,
    marker: &str,
    timeout: Duration,
    out: &mut impl Write,
) -> anyhow::Result<End> {
    let deadline = Instant::now() + timeout;
    let mut splitter = Splitter { marker: marker.as_bytes(), held: Vec::new() };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(End::TimedOut);
        }
        stream.set_read_timeout(Some(left))?;
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Ok(End::Died),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(End::TimedOut),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(End::Died),
            Err(error) => return Err(error).context("cannot read the guest's output"),
        };
        let status = splitter.push(&buffer[..length], out).context("cannot write the output")?;
        if let Some(status) = status {
            return Ok(End::Status(status));
        }
    }
}

struct Splitter<'a> {
    marker: &'a [u8],
    /// What may be the beginning of the marker, or of the status after it.
    held: Vec<u8>,
}

impl Splitter<'_> {
    /// Writes what is output for sure; returns the status once it is there.
    fn push(&mut self, data: &[u8], out: &mut impl Write) -> io::Result<Option<u8>> {
        self.held.extend(data);
        let marker = self.marker;
        let found = self.held.windows(marker.len()).position(|window| window == marker);
        let end = found.unwrap_or_else(|| self.held.len() - self.partial_marker());
        out.write_all(&self.held[..end])?;
        out.flush()?;
        self.held.drain(..end);
        if found.is_none() {
            return Ok(None);
        }
        let line = self.held[marker.len()..].strip_suffix(b"\n");
        let status = line.and_then(|line| str::from_utf8(line).ok()?.parse().ok());
        Ok(status)
    }

    /// The length of the longest end of the held bytes that begins the marker.
    fn partial_marker(&self) -> usize {
        let longest = self.held.len().min(self.marker.len() - 1);
        let begins = |length: &usize| self.held.ends_with(&self.marker[..*length]);
        (1..=longest).rev().find(begins).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn relay_of(chunks: &[&str], timeout: Duration) -> (End, String) {
        let (mut guest, host) = UnixStream::pair().unwrap();
        let mut out = Vec::new();
        let end = thread::scope(|scope| {
            scope.spawn(move || {
                for chunk in chunks {
                    guest.write_all(chunk.as_bytes()).unwrap();
                    thread::sleep(Duration::from_millis(5));
                }
                thread::sleep(Duration::from_millis(50));
            });
            relay(host, "\0mark ", timeout, &mut out).unwrap()
        });
        (end, String::from_utf8(out).unwrap())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn separates_output_and_status() {
        let output = "a\0b\0mar".to_owned();
        assert_eq!(relay_of(&["a\0b\0mar\0mark 7\n"], LONG), (End::Status(7), output.clone()));
        let pieces = ["a\0b", "\0mar", "\0", "ma", "rk ", "7", "\n"];
        assert_eq!(relay_of(&pieces, LONG), (End::Status(7), output));
    }

    #[test]
    fn notices_the_guest_s_death() {
        assert_eq!(relay_of(&["a"], LONG), (End::Died, "a".to_owned()));
    }

    #[test]
    fn stops_at_the_time_out() {
        let timeout = Duration::from_millis(20);
        assert_eq!(relay_of(&["a"], timeout), (End::TimedOut, "a".to_owned()));
    }
}
