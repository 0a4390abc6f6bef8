//! The program `holm`; the library beside it is all of it, so that tests and fuzzers reach its parsers.

use std::process::ExitCode;

fn main() -> ExitCode {
    holm_cli::main()
}
