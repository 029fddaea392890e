//! Random profiles: the program's verdict is that of the plain judge.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not what they share"
)]

mod common;

use common::{arbitrary, judge, run};
use coracle_seccomp::{Action, Arch, BpfProgram, compile, explain};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_program_judges_as_the_profile_says(
        profile in arbitrary::profile(),
        calls in prop::collection::vec(arbitrary::data(), 50),
    ) {
        let program = compile(&profile).unwrap();
        prop_assert_eq!(&BpfProgram::from_bytes(program.as_bytes()).unwrap(), &program);
        for call in &calls {
            let (verdict, _) = run(program.instructions(), call);
            let expected = judge(&profile, call);
            prop_assert_eq!(verdict, expected, "{:x} is not {:x} for {:x?}", verdict, expected, call);
            // A call that a tracer skips has the number -1, and no one architecture.
            let arch = Arch::of_call(call.token, call.number).filter(|_| call.number != u32::MAX);
            let Some(arch) = arch else { continue };
            let action = Action::of_return_value(verdict).unwrap();
            prop_assert_eq!(program.verdict(arch, call.number, call.args), Some(action));
            let known = explain(&profile, arch, call.number, call.args.map(Some)).unwrap();
            let actions: Vec<_> = known.iter().map(|outcome| outcome.action).collect();
            prop_assert_eq!(actions, [action], "{:x?}", call);
            let open = explain(&profile, arch, call.number, [None; 6]).unwrap();
            prop_assert!(open.iter().any(|outcome| outcome.action == action), "{:x?}", call);
        }
    }

    #[test]
    fn any_bytes_are_a_program_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(program) = BpfProgram::from_bytes(&bytes) {
            prop_assert_eq!(program.as_bytes(), &bytes[..]);
        }
    }
}
