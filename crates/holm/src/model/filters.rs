//! The built-in filters, compiled by the build script.

use super::seccomp::Instruction;
use super::seccomp::policy::Policy;

include!(concat!(env!("OUT_DIR"), "/filters.rs"));

/// The instructions of `policy` without openings.
pub fn compiled(policy: Policy) -> &'static [Instruction] {
    match policy {
        Policy::Default => &DEFAULT,
        Policy::Strict => &STRICT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_build_script_compiled_is_what_is_compiled_now() {
        for policy in [Policy::Default, Policy::Strict] {
            assert_eq!(policy.filter(&[]).compile().expect("it fits"), compiled(policy));
        }
    }
}
