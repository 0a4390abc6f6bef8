//! Which devices a control group may use: rules, in the words of version 1 and as a program for version 2 (cgroups(7)).
//!
//! The last rule that speaks of a device and a kind of access counts; what no rule speaks of is refused.

use crate::sys::device::Instruction;
use std::fmt;

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be used.
    Allow,
    /// It may not.
    Refuse,
}

/// What kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A block device.
    Block,
    /// A character device.
    Character,
}

/// Kinds of access, as bits (linux/bpf.h, `BPF_DEVCG_ACC_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceAccess(u8);

impl DeviceAccess {
    /// Each.
    pub const ALL: DeviceAccess = DeviceAccess(7);
    /// Making a node.
    pub const MAKE: DeviceAccess = DeviceAccess(1);

    /// `r`, `w` and `m` in any order; `None` for anything else.
    pub fn parse(text: &str) -> Option<DeviceAccess> {
        let bit = |letter| match letter {
            'm' => Some(1),
            'r' => Some(2),
            'w' => Some(4),
            _ => None,
        };
        text.chars().try_fold(0, |bits, letter| Some(bits | bit(letter)?)).filter(|bits| *bits != 0).map(DeviceAccess)
    }

    /// Either.
    pub fn with(self, other: DeviceAccess) -> DeviceAccess {
        DeviceAccess(self.0 | other.0)
    }

    /// This without the other; `None` if nothing is left.
    pub fn without(self, other: DeviceAccess) -> Option<DeviceAccess> {
        Some(self.0 & !other.0).filter(|bits| *bits != 0).map(DeviceAccess)
    }
}

impl fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        [(2, "r"), (4, "w"), (1, "m")]
            .iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .try_for_each(|(_, name)| f.write_str(name))
    }
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    /// What it says.
    pub verdict: Verdict,
    /// Of which kind; `None` is both.
    pub kind: Option<DeviceKind>,
    /// Of which major number; `None` is any.
    pub major: Option<u32>,
    /// Of which minor number; `None` is any.
    pub minor: Option<u32>,
    /// Of which access.
    pub access: DeviceAccess,
}

impl DeviceRule {
    /// A rule for every device.
    pub fn all(verdict: Verdict) -> DeviceRule {
        DeviceRule { verdict, kind: None, major: None, minor: None, access: DeviceAccess::ALL }
    }

    /// Whether it speaks of every use of every device.
    pub fn is_of_all(&self) -> bool {
        *self == DeviceRule::all(self.verdict)
    }
}

/// As `devices.allow` and `devices.deny` of version 1 take it: `c 1:3 rwm`.
impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            None => "a",
            Some(DeviceKind::Block) => "b",
            Some(DeviceKind::Character) => "c",
        };
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
        write!(f, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

const LOAD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const MOVE: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const SET: u8 = 0xb4; // BPF_ALU | BPF_MOV | BPF_K
const AND: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const IF_EQUAL: u8 = 0x16; // BPF_JMP32 | BPF_JEQ | BPF_K
const IF_OTHER: u8 = 0x56; // BPF_JMP32 | BPF_JNE | BPF_K
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

/// The program that answers by these rules whether a device may be used (`BPF_PROG_TYPE_CGROUP_DEVICE`).
///
/// Registers: 2 is the kind, 3 the access that no rule has allowed yet, 4 and 5 are the numbers. Rules are asked from the last
/// to the first: each takes out of 3 what it allows; with nothing left there the answer is yes.
pub(crate) fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut made = vec![
        Instruction::new(LOAD, 0x12, 0, 0),
        Instruction::new(MOVE, 0x23, 0, 0),
        Instruction::new(AND, 0x02, 0, 0xffff),
        Instruction::new(SHIFT, 0x03, 0, 16),
        Instruction::new(LOAD, 0x14, 4, 0),
        Instruction::new(LOAD, 0x15, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let kind = rule.kind.map(|kind| if kind == DeviceKind::Block { 1 } else { 2 });
        let wanted = [(2, kind), (4, rule.major), (5, rule.minor)];
        let conditions: Vec<(u8, u32)> =
            wanted.into_iter().filter_map(|(register, value)| Some((register, value?))).collect();
        let bits = i32::from(rule.access.0);
        let answer = match rule.verdict {
            Verdict::Allow => vec![
                Instruction::new(AND, 0x03, 0, !bits),
                Instruction::new(IF_OTHER, 0x03, 2, 0),
                Instruction::new(SET, 0x00, 0, 1),
                Instruction::new(EXIT, 0, 0, 0),
            ],
            Verdict::Refuse => vec![
                Instruction::new(MOVE, 0x31, 0, 0),
                Instruction::new(AND, 0x01, 0, bits),
                Instruction::new(IF_EQUAL, 0x01, 2, 0),
                Instruction::new(SET, 0x00, 0, 0),
                Instruction::new(EXIT, 0, 0, 0),
            ],
        };
        for (place, (register, value)) in conditions.iter().enumerate() {
            let past = (conditions.len() - place - 1 + answer.len()) as i16;
            made.push(Instruction::new(IF_OTHER, *register, past, *value as i32));
        }
        made.extend(answer);
    }
    made.extend([Instruction::new(SET, 0x00, 0, 0), Instruction::new(EXIT, 0, 0, 0)]);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program answers.
    fn answer(program: &[Instruction], kind: u32, numbers: (u32, u32), access: u32) -> u32 {
        let context = [access << 16 | kind, numbers.0, numbers.1];
        let (mut registers, mut at) = ([0u32; 6], 0usize);
        loop {
            let Instruction { code, registers: pair, offset, value } = program[at];
            let (to, from) = ((pair & 15) as usize, (pair >> 4) as usize);
            at += 1;
            match code {
                LOAD => registers[to] = context[offset as usize / 4],
                MOVE => registers[to] = registers[from],
                SET => registers[to] = value as u32,
                AND => registers[to] &= value as u32,
                SHIFT => registers[to] >>= value,
                IF_EQUAL if registers[to] == value as u32 => at += offset as usize,
                IF_OTHER if registers[to] != value as u32 => at += offset as usize,
                IF_EQUAL | IF_OTHER => {}
                EXIT => return registers[0],
                other => panic!("no such code: {other:x}"),
            }
        }
    }

    #[test]
    fn the_last_rule_that_speaks_of_an_access_counts() {
        let rule = |verdict, kind, major, minor, access| DeviceRule {
            verdict,
            kind,
            major,
            minor,
            access: DeviceAccess::parse(access).expect("it is one"),
        };
        let (character, block) = (Some(DeviceKind::Character), Some(DeviceKind::Block));
        let rules = [
            DeviceRule::all(Verdict::Refuse),
            rule(Verdict::Allow, character, Some(1), Some(3), "r"),
            rule(Verdict::Allow, character, Some(1), None, "w"),
            rule(Verdict::Allow, block, None, None, "m"),
            rule(Verdict::Refuse, block, Some(8), Some(0), "rwm"),
        ];
        let made = program(&rules);
        let (make, read, write) = (1, 2, 4);
        for (kind, numbers, access, expected) in [
            (2, (1, 3), read | write, 1),
            (2, (1, 3), make, 0),
            (2, (1, 5), read, 0),
            (2, (1, 5), write, 1),
            (2, (5, 0), read, 0),
            (1, (7, 0), make, 1),
            (1, (8, 0), make, 0),
            (1, (1, 3), read, 0),
        ] {
            assert_eq!(answer(&made, kind, numbers, access), expected, "{kind} {numbers:?} {access}");
        }
        assert_eq!(answer(&program(&[]), 2, (1, 3), read), 0);
        assert_eq!(answer(&program(&[DeviceRule::all(Verdict::Allow)]), 2, (1, 3), 7), 1);
    }

    #[test]
    fn rules_are_written_as_version_1_takes_them() {
        assert_eq!(DeviceRule::all(Verdict::Allow).to_string(), "a *:* rwm");
        let access = DeviceAccess::parse("mr").expect("it is one");
        let kind = Some(DeviceKind::Character);
        let rule = DeviceRule { verdict: Verdict::Allow, kind, major: Some(5), minor: Some(2), access };
        assert_eq!(rule.to_string(), "c 5:2 rm");
        assert!(["", "x", "rwx"].iter().all(|text| DeviceAccess::parse(text).is_none()));
    }
}
