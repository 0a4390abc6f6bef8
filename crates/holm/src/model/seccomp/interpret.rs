//! What a compiled filter answers, by the rules of the kernel's own interpreter (seccomp(2), bpf in Linux).

use super::{Action, Instruction};

/// A system call as a filter sees it, `struct seccomp_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub number: u32,
    /// Its architecture, `AUDIT_ARCH_*`.
    pub architecture: u32,
    /// Where it was made.
    pub instruction_pointer: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl Call {
    /// The 32 bits at an offset of `struct seccomp_data`, little-endian.
    fn word(&self, offset: u32) -> Option<u32> {
        let half = |number: u64, upper: bool| if upper { (number >> 32) as u32 } else { number as u32 };
        Some(match offset {
            0 => self.number,
            4 => self.architecture,
            8 | 12 => half(self.instruction_pointer, offset == 12),
            16..64 if offset.is_multiple_of(4) => half(self.arguments[(offset as usize - 16) / 8], offset % 8 == 4),
            _ => return None,
        })
    }
}

/// What `filter` answers to `call`. One that the kernel would not have taken kills.
pub fn answer(filter: &[Instruction], call: &Call) -> Action {
    run(filter, call).unwrap_or(Action::KillProcess)
}

fn run(filter: &[Instruction], call: &Call) -> Option<Action> {
    let (mut at, mut accumulator) = (0usize, 0u32);
    loop {
        let instruction = filter.get(at)?;
        let value = instruction.value;
        let branch = |holds: bool| usize::from(if holds { instruction.if_true } else { instruction.if_false });
        at += 1 + match instruction.code {
            Instruction::LOAD => {
                accumulator = call.word(value)?;
                0
            }
            Instruction::AND => {
                accumulator &= value;
                0
            }
            Instruction::JUMP => value as usize,
            Instruction::IF_EQUAL => branch(accumulator == value),
            Instruction::IF_GREATER => branch(accumulator > value),
            Instruction::IF_AT_LEAST => branch(accumulator >= value),
            Instruction::RETURN => return Some(Action::from_word(value)),
            _ => return None,
        };
    }
}
