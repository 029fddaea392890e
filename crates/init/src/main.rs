//! The program itself; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    coracle_init::main()
}
