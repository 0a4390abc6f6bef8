//! From rules to instructions: a check of the architecture, a binary search over ranges of numbers, and a few
//! comparisons of arguments behind it.
//!
//! Instructions can only jump forward, so they are made from the last to the first: what a jump leads to exists already
//! and its distance is known.

use super::{ARCHITECTURE, Action, Comparison, Condition, ENOSYS, Filter, Instruction, Rule};
use std::fmt;

/// The kernel's limit (`BPF_MAXINSNS`).
const MOST: usize = 4096;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;
/// Calls of the x32 interface have this bit.
const X32: u32 = 0x4000_0000;

/// A filter that has more instructions than the kernel takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLong(usize);

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it needs {} instructions, the kernel takes {MOST}", self.0)
    }
}

impl Filter {
    /// The instructions, in the order in which the kernel runs them.
    ///
    /// # Errors
    /// There would be more than 4,096.
    pub fn compile(&self) -> Result<Vec<Instruction>, TooLong> {
        let mut backwards = Backwards(Vec::new());
        let kill = backwards.end(Action::KillProcess);
        let mut verdicts: Vec<(Vec<Rule>, Label)> = Vec::new();
        let ranges: Vec<(u32, Label)> = self
            .ranges()
            .into_iter()
            .map(|(from, rules)| {
                let known = verdicts.iter().find(|(known, _)| *known == rules).map(|(_, label)| *label);
                let label = known.unwrap_or_else(|| {
                    let label = backwards.rules(&rules, self.otherwise);
                    verdicts.push((rules, label));
                    label
                });
                (from, label)
            })
            .collect();
        let search = backwards.search(&ranges);
        let number = backwards.load(NUMBER, search);
        let architecture = backwards.compare(Instruction::IF_EQUAL, ARCHITECTURE, number, kill);
        backwards.load(ARCH, architecture);
        let mut instructions = backwards.0;
        instructions.reverse();
        if instructions.len() > MOST { Err(TooLong(instructions.len())) } else { Ok(instructions) }
    }

    /// What is done from each of these numbers on.
    fn ranges(&self) -> Vec<(u32, Vec<Rule>)> {
        let always = |action| vec![Rule { conditions: Vec::new(), action }];
        let mut ranges: Vec<(u32, Vec<Rule>)> = Vec::new();
        let mut add = |from: u32, rules: Vec<Rule>| {
            if ranges.last().is_none_or(|(_, last)| *last != rules) {
                ranges.push((from, rules));
            }
        };
        let mut next = 0;
        for (&number, rules) in self.calls.range(..self.unknown_from.min(X32)) {
            if number > next {
                add(next, always(self.otherwise));
            }
            // What follows an unconditional rule is never looked at.
            let end = rules.iter().position(|rule| rule.conditions.is_empty()).map_or(rules.len(), |place| place + 1);
            let mut rules = rules[..end].to_vec();
            if rules.is_empty() {
                rules = always(self.otherwise);
            }
            add(number, rules);
            next = number + 1;
        }
        if next < self.unknown_from.min(X32) {
            add(next, always(self.otherwise));
        }
        if self.unknown_from < X32 {
            add(self.unknown_from, always(Action::Errno(ENOSYS)));
        }
        add(X32, always(Action::KillProcess));
        // A tracer skips a call by making its number -1 (ptrace(2)).
        add(u32::MAX, always(Action::Errno(ENOSYS)));
        ranges
    }
}

/// How many instructions there are from the end up to and with one: its name.
type Label = usize;

/// The instructions, the last one first.
struct Backwards(Vec<Instruction>);

impl Backwards {
    fn push(&mut self, code: u16, value: u32, if_true: u8, if_false: u8) -> Label {
        self.0.push(Instruction { code, if_true, if_false, value });
        self.0.len()
    }

    fn end(&mut self, action: Action) -> Label {
        self.push(Instruction::RETURN, action.word(), 0, 0)
    }

    /// Makes `to` reachable from the next comparison, which can skip 255 instructions; another such step may precede it.
    fn near(&mut self, to: Label) -> Label {
        match self.0.len() + 1 - to {
            0..=255 => to,
            _ => self.jump(to),
        }
    }

    fn jump(&mut self, to: Label) -> Label {
        let distance = (self.0.len() - to) as u32;
        self.push(Instruction::JUMP, distance, 0, 0)
    }

    fn compare(&mut self, code: u16, value: u32, yes: Label, no: Label) -> Label {
        let (yes, no) = (self.near(yes), self.near(no));
        let distance = |to: Label| (self.0.len() - to) as u8;
        self.push(code, value, distance(yes), distance(no))
    }

    /// Makes `then` what comes right after the next instruction.
    fn follow(&mut self, then: Label) {
        if then != self.0.len() {
            self.jump(then);
        }
    }

    fn load(&mut self, offset: u32, then: Label) -> Label {
        self.follow(then);
        self.push(Instruction::LOAD, offset, 0, 0)
    }

    fn search(&mut self, ranges: &[(u32, Label)]) -> Label {
        if let [(_, label)] = ranges {
            return *label;
        }
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let (from, yes) = (high[0].0, self.search(high));
        let no = self.search(low);
        self.compare(Instruction::IF_AT_LEAST, from, yes, no)
    }

    fn rules(&mut self, rules: &[Rule], otherwise: Action) -> Label {
        let (last, first) = match rules.split_last() {
            Some((last, first)) if last.conditions.is_empty() => (last.action, first),
            _ => (otherwise, rules),
        };
        let mut next = self.end(last);
        for rule in first.iter().rev() {
            let mut yes = self.end(rule.action);
            for condition in rule.conditions.iter().rev() {
                yes = self.condition(condition, yes, next);
            }
            next = yes;
        }
        next
    }

    /// Arguments have 64 bits and instructions compare 32: the upper half first.
    fn condition(&mut self, condition: &Condition, yes: Label, no: Label) -> Label {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let (code, yes, no) = match condition.comparison {
            Equal => (Instruction::IF_EQUAL, yes, no),
            NotEqual => (Instruction::IF_EQUAL, no, yes),
            Greater => (Instruction::IF_GREATER, yes, no),
            LessOrEqual => (Instruction::IF_GREATER, no, yes),
            GreaterOrEqual => (Instruction::IF_AT_LEAST, yes, no),
            Less => (Instruction::IF_AT_LEAST, no, yes),
        };
        let offset = ARGUMENTS + 8 * u32::from(condition.argument);
        let halves = |number: u64| ((number >> 32) as u32, number as u32);
        let ((high_mask, low_mask), (high, low)) = (halves(condition.mask), halves(condition.value));
        let lower = self.compare(code, low, yes, no);
        let lower = self.masked(offset, low_mask, lower);
        if high_mask == 0 && high == 0 {
            return lower;
        }
        let mut upper = self.compare(Instruction::IF_EQUAL, high, lower, no);
        if code != Instruction::IF_EQUAL {
            upper = self.compare(Instruction::IF_GREATER, high, yes, upper);
        }
        self.masked(offset + 4, high_mask, upper)
    }

    /// Loads what the mask leaves of 32 bits.
    fn masked(&mut self, offset: u32, mask: u32, then: Label) -> Label {
        if mask == u32::MAX {
            return self.load(offset, then);
        }
        self.follow(then);
        let masked = self.push(Instruction::AND, mask, 0, 0);
        self.load(offset, masked)
    }
}
