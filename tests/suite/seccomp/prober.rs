//! A program that makes many system calls, one after the other, and prints the errno of each.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use coracle_testkit::{Bundle, Context, Result, check};

use super::probe::{BASE, HEADERS, executable};

/// The sixth argument of the calls by which the program prints and exits.
pub const MAGIC: u64 = 0x636f_7261_636c_6521;

/// A call: the convention, its number (on x32 with its bit) and its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// By the gate of 32-bit x86, `int 0x80`, instead of `syscall`.
    pub by_x86: bool,
    pub number: u32,
    pub args: [u64; 6],
}

/// Marks a call by the gate of 32-bit x86.
const X86: u64 = 1 << 63;

/// Makes the calls in a container of this bundle. The errno of each; 0 if it did not fail.
pub fn errnos(t: &Context, bundle: Bundle, calls: &[Made]) -> Result<Vec<u16>> {
    let path = bundle.rootfs().join("prober");
    fs::write(&path, program(calls)?)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let output = t.run(&bundle.args(&["/prober"]))?.expect(0)?;
    let (pairs, rest) = output.stdout.as_bytes().as_chunks::<2>();
    check!(rest.is_empty() && pairs.len() == calls.len(), "{} answers", pairs.len());
    // Six bits in each, from the character 0 on.
    let errno = |[low, high]: &[u8; 2]| u16::from(low - b'0') | u16::from(high - b'0') << 6;
    Ok(pairs.iter().map(errno).collect())
}

/// An executable with the calls in a table; the answers come behind it.
fn program(calls: &[Made]) -> Result<Vec<u8>> {
    let words = calls.iter().flat_map(|call| {
        let gate = if call.by_x86 { X86 } else { 0 };
        [u64::from(call.number) | gate].into_iter().chain(call.args)
    });
    let table: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    let count = u32::try_from(calls.len())?;
    let begin = BASE + HEADERS + code([0; 2], count).len() as u64;
    let mut text = code([begin, begin + table.len() as u64], count);
    text.extend(table);
    Ok(executable(&text, 2 * u64::from(count)))
}

/// Machine code. Of `[table, answers]`, r15 is the next call and r13 the place of its answer.
fn code([table, answers]: [u64; 2], count: u32) -> Vec<u8> {
    let wide = |opcode: [u8; 2], value: u64| [&opcode[..], &value.to_le_bytes()].concat();
    let small = |opcode: &[u8], value: u32| [opcode, &value.to_le_bytes()].concat();
    let (mov_r15, mov_r13, mov_r9, mov_rsi) =
        ([0x49, 0xbf], [0x49, 0xbd], [0x49, 0xb9], [0x48, 0xbe]);
    let (mov_r14d, mov_eax, mov_edi, mov_edx) = (&[0x41, 0xbe][..], &[0xb8], &[0xbf], &[0xba]);
    let write = [
        small(mov_eax, 1),
        small(mov_edi, 1),
        wide(mov_rsi, answers),
        small(mov_edx, 2 * count),
        wide(mov_r9, MAGIC),
        vec![0x0f, 0x05],
    ];
    let exit_group = [small(mov_eax, 231), small(mov_edi, 0), vec![0x0f, 0x05]];
    [wide(mov_r15, table), wide(mov_r13, answers), small(mov_r14d, count), CALL.to_vec()]
        .into_iter()
        .chain(write)
        .chain(exit_group)
        .collect::<Vec<_>>()
        .concat()
}

/// Makes one call after the other: loads rax, rdi, rsi, rdx, r10, r8 and r9 from the table, moves them to where
/// `int 0x80` takes them if the number says so, and stores the negated result, if it is negative, in two
/// characters.
#[rustfmt::skip]
const CALL: [u8; 100] = [
    0x49, 0x8b, 0x07, 0x49, 0x8b, 0x7f, 0x08, 0x49, 0x8b, 0x77, 0x10, 0x49, 0x8b, 0x57, 0x18,
    0x4d, 0x8b, 0x57, 0x20, 0x4d, 0x8b, 0x47, 0x28, 0x4d, 0x8b, 0x4f, 0x30,
    // bt rax, 63; jc x86; syscall; jmp done
    0x48, 0x0f, 0xba, 0xe0, 0x3f, 0x72, 0x04, 0x0f, 0x05, 0xeb, 0x0f,
    // x86: the arguments to ebx, ecx, edx, esi, edi and ebp; int 0x80
    0x89, 0xfb, 0x89, 0xf1, 0x44, 0x89, 0xcd, 0x44, 0x89, 0xd6, 0x44, 0x89, 0xc7, 0xcd, 0x80,
    // done: eax = max(-eax, 0)
    0x31, 0xc9, 0x85, 0xc0, 0x0f, 0x49, 0xc1, 0xf7, 0xd8,
    // [r13] = '0' + (eax & 63); [r13 + 1] = '0' + (eax >> 6 & 63)
    0x89, 0xc1, 0x83, 0xe1, 0x3f, 0x83, 0xc1, 0x30, 0x41, 0x88, 0x4d, 0x00,
    0xc1, 0xe8, 0x06, 0x83, 0xe0, 0x3f, 0x83, 0xc0, 0x30, 0x41, 0x88, 0x45, 0x01,
    // r13 += 2; r15 += 56; the next if r14 is not used up
    0x49, 0x83, 0xc5, 0x02, 0x49, 0x83, 0xc7, 0x38, 0x41, 0xff, 0xce, 0x75, 0x9c,
];
