//! What criu is asked and what it answers: messages of numbered fields, as protocol buffers have them. A field is a number or
//! bytes; a message in a message is bytes. criu's images/rpc.proto says which is which.

/// A message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Adds a number.
    pub(crate) fn number(&mut self, field: u32, number: u64) {
        self.varint(u64::from(field) << 3);
        self.varint(number);
    }

    /// Adds a descriptor or a pid.
    pub(crate) fn small(&mut self, field: u32, number: i32) {
        self.number(field, u64::from(number.unsigned_abs()));
    }

    /// Adds what is so; what isn't is left out.
    pub(crate) fn flag(&mut self, field: u32, is_so: bool) {
        if is_so {
            self.number(field, 1);
        }
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, field: u32, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        self.varint(u64::from(field) << 3 | 2);
        self.varint(text.len() as u64);
        self.0.extend(text);
    }

    /// Adds a message.
    pub(crate) fn message(&mut self, field: u32, message: &Message) {
        self.text(field, message.bytes());
    }

    /// What was written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// A field's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number.
    Number(u64),
    /// A text or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers; `None` if it is none.
pub(crate) fn fields(mut rest: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut rest)?),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (bytes, after) = rest.split_at_checked(length)?;
                rest = after;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        all.push((tag >> 3, value));
    }
    Some(all)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let (mut inner, mut outer) = (Message::default(), Message::default());
        inner.text(1, "post-dump");
        inner.small(2, 300);
        outer.number(1, 6);
        outer.flag(2, true);
        outer.flag(3, false);
        outer.message(5, &inner);
        assert_eq!(outer.bytes()[..4], [8, 6, 16, 1]);
        let read = fields(outer.bytes()).expect("it is one");
        assert_eq!(read[..2], [(1, Value::Number(6)), (2, Value::Number(1))]);
        let (5, Value::Bytes(bytes)) = read[2] else { panic!("{read:?}") };
        assert_eq!(fields(bytes), Some(vec![(1, Value::Bytes(b"post-dump")), (2, Value::Number(300))]));
    }

    #[test]
    fn what_is_no_message_is_none() {
        for wrong in [&[8][..], &[10, 5, 1], &[13, 0, 0, 0, 0], &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]]
        {
            assert_eq!(fields(wrong), None, "{wrong:?}");
        }
    }
}
