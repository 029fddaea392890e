//! A compiled filter.

use coracle_sys::seccomp::{self, SockFilter};

use crate::{Action, Error, opcode, verify};

/// A program for the kernel's seccomp machine.
///
/// Comes from [`compile`](crate::compile), or as bytes from another process on the same host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BpfProgram {
    instructions: Vec<SockFilter>,
}

impl BpfProgram {
    /// The most instructions that the kernel takes: `BPF_MAXINSNS` of linux/bpf_common.h.
    pub const MAX_LEN: usize = 4096;

    pub(crate) fn new(instructions: Vec<SockFilter>) -> Result<Self, Error> {
        match instructions.len() {
            length if length > Self::MAX_LEN => Err(Error::TooLong(length)),
            _ => Ok(Self { instructions }),
        }
    }

    /// The program with these [bytes](BpfProgram::as_bytes), if the kernel would take it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidProgram`] and [`Error::TooLong`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (chunks, rest) = bytes.as_chunks();
        let instructions: Vec<SockFilter> = chunks.iter().map(decode).collect();
        if !rest.is_empty() {
            let reason = "the bytes end";
            return Err(Error::InvalidProgram { at: instructions.len(), reason });
        }
        verify::verify(&instructions)?;
        Self::new(instructions)
    }

    /// The program as bytes in the host's order, eight for each instruction.
    pub fn as_bytes(&self) -> &[u8] {
        seccomp::as_bytes(&self.instructions)
    }

    /// The instructions.
    pub fn instructions(&self) -> &[SockFilter] {
        &self.instructions
    }

    /// The number of instructions.
    #[expect(clippy::len_without_is_empty, reason = "no program is empty")]
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether the program can return [`Action::Notify`], and so is of no use without a listener.
    pub fn notifies(&self) -> bool {
        let notify = Action::Notify.return_value();
        self.instructions
            .iter()
            .any(|instruction| (instruction.code, instruction.k) == (opcode::RET_K, notify))
    }
}

fn decode(bytes: &[u8; 8]) -> SockFilter {
    let [a, b, jt, jf, k @ ..] = *bytes;
    SockFilter { code: u16::from_ne_bytes([a, b]), jt, jf, k: u32::from_ne_bytes(k) }
}
