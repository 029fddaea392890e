//! Programs that do one system call and exit with its errno: hand-made, as no tool has every call.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use coracle_testkit::{Bundle, Cmd, Context, Output, Result};

/// Where the program is loaded.
pub const BASE: u64 = 0x40_0000;
pub const HEADERS: u64 = 64 + 56;

/// A system call with two arguments; the others are 0.
#[derive(Clone, Copy)]
pub enum Call {
    /// By the native entry and number.
    Native(u32, u32, u32),
    /// As a program of 32-bit x86 does it, by its numbers.
    X86(u32, u32, u32),
}

pub const GETPPID: Call = Call::Native(110, 0, 0);
pub const GETUID: Call = Call::Native(102, 0, 0);
pub const GETPPID_OF_X86: Call = Call::X86(64, 0, 0);
/// The number has the bit of x32.
pub const GETPPID_OF_X32: Call = Call::Native(0x4000_0000 | 110, 0, 0);
pub const GETUID_OF_X86: Call = Call::X86(199, 0, 0);

/// socket(2) of a family and a type.
pub fn socket(family: u32, kind: u32) -> Call {
    Call::Native(41, family, kind)
}

/// Can these programs run here?
pub fn supported() -> bool {
    cfg!(target_arch = "x86_64")
}

impl Call {
    /// Machine code: the call, then exit_group(2) with its negated result.
    fn code(self) -> Vec<u8> {
        let load = |opcode: u8, value: u32| [&[opcode][..], &value.to_le_bytes()].concat();
        let (mov_eax, mov_ecx, mov_ebx, mov_esi, mov_edi) = (0xb8, 0xb9, 0xbb, 0xbe, 0xbf);
        let xor_edx_edx = vec![0x31, 0xd2];
        let parts = match self {
            Self::Native(number, first, second) => [
                load(mov_edi, first),
                load(mov_esi, second),
                xor_edx_edx,
                load(mov_eax, number),
                vec![0x0f, 0x05],
            ],
            Self::X86(number, first, second) => [
                load(mov_ebx, first),
                load(mov_ecx, second),
                xor_edx_edx,
                load(mov_eax, number),
                vec![0xcd, 0x80],
            ],
        };
        let (neg_eax, mov_edi_eax, syscall) = ([0xf7, 0xd8], [0x89, 0xc7], [0x0f, 0x05]);
        let exit_group = load(mov_eax, 231);
        [parts.concat().as_slice(), &neg_eax, &mov_edi_eax, &exit_group, &syscall].concat()
    }
}

/// An executable file with this code, which may be followed by data and, in memory only, by `more` bytes.
pub fn executable(code: &[u8], more: u64) -> Vec<u8> {
    let size = HEADERS + code.len() as u64;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // An executable for x86-64, version 1.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for value in [BASE + HEADERS, 64, 0] {
        file.extend(u64::to_le_bytes(value));
    }
    // No flags; one program header of 56 bytes after a header of 64; no sections.
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // To be loaded, readable, writable and executable.
    file.extend([1, 0, 0, 0, 7, 0, 0, 0]);
    for value in [0, BASE, BASE, size, size + more, 0x1000] {
        file.extend(u64::to_le_bytes(value));
    }
    file.extend(code);
    file
}

/// Runs the call in a container of this bundle; the exit code is the errno.
pub fn attempt(t: &Context, bundle: Bundle, call: Call) -> Result<Output> {
    attempt_in(t, bundle, call)?.run()
}

/// Puts the program into the bundle, as `/probe`.
pub fn install(bundle: &Bundle, call: Call) -> Result<()> {
    let path = bundle.rootfs().join("probe");
    fs::write(&path, executable(&call.code(), 0))?;
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
}

/// The command that runs the call in a container of this bundle.
pub fn attempt_in(t: &Context, bundle: Bundle, call: Call) -> Result<Cmd> {
    install(&bundle, call)?;
    t.run_with(&bundle.args(&["/probe"]), &[])
}
