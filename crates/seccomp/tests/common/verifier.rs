//! Programs that are right and wrong in every way.

use coracle_seccomp::{Action, Profile, Rule, SockFilter, compile};

const RET: SockFilter = plain(0x06, 0x7fff_0000);

const fn plain(code: u16, k: u32) -> SockFilter {
    SockFilter { code, jt: 0, jf: 0, k }
}

const fn branch(code: u16, jt: u8, jf: u8) -> SockFilter {
    SockFilter { code, jt, jf, k: 0 }
}

/// Programs by name, as bytes.
pub fn programs() -> Vec<(String, Vec<u8>)> {
    let mut all = handmade();
    // Every operation there may be, with a small and with a large operand.
    for code in 0..=0xff_u16 {
        for k in [0, 1, 4, 15, 16, 31, 32, 64] {
            all.push((format!("operation {code:#x} {k}"), vec![plain(code, k), RET]));
        }
    }
    all.push(("operation 0x106".to_owned(), vec![plain(0x106, 0)]));
    let mut profile = Profile::new(Action::Allow);
    profile.rules = vec![Rule::new(["getsid", "mount"], Action::Errno(1))];
    let good = compile(&profile).unwrap().instructions().to_vec();
    for at in 0..good.len() {
        for (jt, jf) in [(255, 0), (0, 255)] {
            let mut bad = good.clone();
            bad[at] = SockFilter { jt, jf, ..bad[at] };
            all.push((format!("jumps {jt} {jf} at {at}"), bad));
        }
        all.push((format!("cut at {at}"), good[..at].to_vec()));
    }
    all.push(("compiled".to_owned(), good));
    all.into_iter().map(|(name, program)| (name, encode(&program))).collect()
}

fn handmade() -> Vec<(String, Vec<SockFilter>)> {
    let store = plain(0x02, 3);
    let read = plain(0x60, 3);
    let read_index = plain(0x61, 3);
    let programs = [
        ("stored", vec![store, read, RET]),
        ("stored from the index", vec![plain(0x03, 3), read_index, RET]),
        ("not stored", vec![read, RET]),
        ("stored elsewhere", vec![plain(0x02, 4), read_index, RET]),
        ("stored on one way", vec![branch(0x15, 0, 1), store, read, RET]),
        ("stored on both ways", vec![branch(0x15, 0, 2), store, plain(0x05, 1), store, read, RET]),
        ("stored on the way not taken", vec![plain(0x05, 1), store, read, RET]),
        ("jump to the last", vec![branch(0x15, 0, 1), RET, RET]),
        ("jump to the end", vec![branch(0x15, 0, 2), RET, RET]),
        ("long jump to the last", vec![plain(0x05, 1), RET, RET]),
        ("long jump to the end", vec![plain(0x05, 2), RET, RET]),
        ("long jump to the beginning", vec![plain(0x05, u32::MAX), RET, RET]),
        ("returns the accumulator", vec![plain(0x16, 0)]),
        ("returns the index", vec![plain(0x0e, 0)]),
        ("empty", vec![]),
        ("longest", vec![RET; 4096]),
        ("too long", vec![RET; 4097]),
    ];
    programs.map(|(name, program)| (name.to_owned(), program)).into()
}

fn encode(program: &[SockFilter]) -> Vec<u8> {
    let encode = |SockFilter { code, jt, jf, k }: &SockFilter| {
        let [a, b] = code.to_ne_bytes();
        let [c, d, e, f] = k.to_ne_bytes();
        [a, b, *jt, *jf, c, d, e, f]
    };
    program.iter().flat_map(encode).collect()
}

/// The instructions, unchecked.
pub fn decode(bytes: &[u8]) -> Vec<SockFilter> {
    let (chunks, _) = bytes.as_chunks();
    let decode = |[a, b, jt, jf, k @ ..]: &[u8; 8]| SockFilter {
        code: u16::from_ne_bytes([*a, *b]),
        jt: *jt,
        jf: *jf,
        k: u32::from_ne_bytes(*k),
    };
    chunks.iter().map(decode).collect()
}
