//! Random profiles: the program's verdict is that of the plain judge.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not what they share"
)]

mod common;

use common::{arbitrary, judge, run};
use coracle_seccomp::{BpfProgram, compile};
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
        }
    }

    #[test]
    fn any_bytes_are_a_program_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(program) = BpfProgram::from_bytes(&bytes) {
            prop_assert_eq!(program.as_bytes(), &bytes[..]);
        }
    }
}
