//! What strace(1) writes with `-ff -ttt -T`: a file for each process, a line for each system call.

use std::path::Path;

/// A system call, with its times in µs; `begin` is that of the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub begin: f64,
    pub duration: f64,
    /// Name, arguments and result.
    pub text: String,
}

/// A traced process, or what became of it by execve(2).
#[derive(Debug, Default)]
pub struct Trace {
    pub calls: Vec<Call>,
    /// The last moment of which strace tells.
    pub end: f64,
}

/// Calls in which a process waits for another one.
const WAITS: [&str; 9] =
    ["poll", "ppoll", "wait4", "waitid", "recvmsg", "recvfrom", "read", "vfork", "futex"];

impl Call {
    /// Parses a line; nothing for signals and exits.
    fn parse(line: &str) -> Option<Self> {
        let (begin, rest) = line.split_once(' ')?;
        let (text, duration) = rest.strip_suffix('>')?.rsplit_once(" <")?;
        let (begin, duration): (f64, f64) = (begin.parse().ok()?, duration.parse().ok()?);
        Some(Self { begin: begin * 1e6, duration: duration * 1e6, text: text.to_owned() })
    }

    pub fn name(&self) -> &str {
        self.text.split('(').next().unwrap_or_default()
    }

    /// May it have waited for another process, rather than have worked?
    pub fn is_wait(&self) -> bool {
        WAITS.contains(&self.name()) || self.text.contains("CLONE_VFORK")
    }
}

impl Trace {
    pub fn parse(text: &str) -> Self {
        let last = text.lines().next_back().and_then(|line| line.split_once(' '));
        let end = last.and_then(|(time, _)| time.parse::<f64>().ok()).unwrap_or_default() * 1e6;
        Self { calls: text.lines().filter_map(Call::parse).collect(), end }
    }

    pub fn begin(&self) -> f64 {
        self.calls.first().map_or(self.end, |call| call.begin)
    }

    /// Does it execute this program, successfully or not?
    pub fn executes(&self, path: &Path) -> bool {
        let prefix = format!("execve(\"{}", path.display());
        self.calls.iter().any(|call| call.text.starts_with(&prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
1000.000100 execve(\"/proc/self/fd/5\", [\"coracle-init\"], 0x7ffd /* 1 var */) = 0 <0.000400>
1000.000600 wait4(7, [{WIFEXITED(s)}], 0, NULL) = 7 <0.001000>
1000.001700 --- SIGCHLD {si_signo=SIGCHLD} ---
1000.001800 exit_group(0)             = ?
1000.002000 +++ exited with 0 +++
";

    #[test]
    fn reads_calls_and_the_end() {
        let trace = Trace::parse(TEXT);
        let names: Vec<_> = trace.calls.iter().map(Call::name).collect();
        assert_eq!(names, ["execve", "wait4"]);
        assert!((trace.calls[0].duration - 400.0).abs() < 0.01);
        assert!((trace.end - trace.begin() - 1900.0).abs() < 0.01);
        assert!(trace.calls[1].is_wait() && !trace.calls[0].is_wait());
        assert!(trace.executes(Path::new("/proc/self/fd/")));
    }
}
