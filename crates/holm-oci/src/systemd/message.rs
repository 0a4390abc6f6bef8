//! Messages of D-Bus: a header, and a body of values (D-Bus specification, "Message Protocol"). How values lie in bytes is zbus's.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use std::io::{Error, ErrorKind, Read, Result};
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{BE, LE, to_bytes};
use zbus::{DynamicType, ObjectPath, Signature, Type, Variant};

/// A message that is longer is none that is expected here.
const MOST: usize = 1 << 20;
/// The first part of a header, whose length is known: up to the length of its fields.
const BEGIN: usize = 16;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Call = 1,
    Reply = 2,
    Error = 3,
    Signal = 4,
}

/// Its bytes before the body: order, kind, flags, version, length of the body, serial, fields by their codes.
type Header<V> = (u8, u8, u8, u8, u32, u32, Vec<(u8, V)>);

/// The value of a field. Of which types a body is, is written without the parentheses that zbus puts around several.
enum Field<'a> {
    Value(Variant<'a>),
    Types(&'a str),
}

impl Type for Field<'_> {
    const SIGNATURE: &'static Signature = &Signature::Variant;
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Field::Value(value) => value.serialize(serializer),
            Field::Types(types) => {
                // As zbus writes a variant.
                let mut variant = serializer.serialize_struct("Variant", 2)?;
                variant.serialize_field("signature", &Signature::Signature)?;
                variant.serialize_field("value", types)?;
                variant.end()
            }
        }
    }
}

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR: u8 = 4;
const REPLY_TO: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A message; fields that it hasn't are empty.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) serial: u32,
    pub(crate) reply_to: u32,
    pub(crate) path: String,
    pub(crate) interface: String,
    pub(crate) member: String,
    pub(crate) destination: String,
    pub(crate) error: String,
    pub(super) body: Body,
}

/// A body, and of which types it is.
#[derive(Debug, Default)]
pub(crate) struct Body {
    signature: String,
    bytes: Vec<u8>,
    big: bool,
}

fn wrong(cause: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidData, cause.to_string())
}

impl Body {
    /// The values of a tuple.
    pub(crate) fn of(values: &(impl Serialize + DynamicType)) -> Result<Body> {
        let bytes = to_bytes(Context::new(LE, 0), values).map_err(wrong)?.bytes().to_vec();
        Ok(Body { signature: values.signature().to_string_no_parens(), bytes, big: false })
    }
}

impl Message {
    /// A message with a body and no field yet.
    pub(crate) fn new(kind: Kind, serial: u32, body: Body) -> Message {
        let none = String::new;
        let [path, interface, member, destination, error] = [none(), none(), none(), none(), none()];
        Message { kind, serial, reply_to: 0, path, interface, member, destination, error, body }
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        let mut fields = Vec::new();
        if !self.path.is_empty() {
            let path = ObjectPath::try_from(self.path.as_str()).map_err(wrong)?;
            fields.push((PATH, Field::Value(path.into())));
        }
        let named = [
            (INTERFACE, &self.interface),
            (MEMBER, &self.member),
            (ERROR, &self.error),
            (DESTINATION, &self.destination),
        ];
        fields.extend(
            named
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .map(|(code, text)| (code, Field::Value(text.as_str().into()))),
        );
        if self.reply_to != 0 {
            fields.push((REPLY_TO, Field::Value(self.reply_to.into())));
        }
        if !self.body.signature.is_empty() {
            fields.push((SIGNATURE, Field::Types(&self.body.signature)));
        }
        let length = u32::try_from(self.body.bytes.len()).map_err(wrong)?;
        let header: Header<Field<'_>> = (b'l', self.kind as u8, 0, 1, length, self.serial, fields);
        let mut bytes = to_bytes(Context::new(LE, 0), &header).map_err(wrong)?.bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(&self.body.bytes);
        Ok(bytes)
    }

    /// The next message of a peer.
    ///
    /// # Errors
    /// It has gone, or what it sends is no message.
    pub(crate) fn read(mut from: impl Read) -> Result<Message> {
        let mut bytes = vec![0; BEGIN];
        from.read_exact(&mut bytes)?;
        let big = bytes[0] == b'B';
        let number = |at: usize| {
            let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            (if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }) as usize
        };
        let (body, fields) = (number(4), number(12));
        if body > MOST || fields > MOST {
            return Err(wrong("a message that is too long"));
        }
        let header = BEGIN + fields.next_multiple_of(8);
        bytes.resize(header + body, 0);
        from.read_exact(&mut bytes[BEGIN..])?;
        Message::parse(bytes, header, big)
    }

    fn parse(mut bytes: Vec<u8>, header: usize, big: bool) -> Result<Message> {
        let body = bytes.split_off(header);
        let data = Data::new(bytes, Context::new(if big { BE } else { LE }, 0));
        let ((_, kind, _, _, _, serial, fields), _) = data.deserialize::<Header<Variant<'_>>>().map_err(wrong)?;
        let kind = [Kind::Call, Kind::Reply, Kind::Error, Kind::Signal].into_iter().find(|one| *one as u8 == kind);
        let kind = kind.ok_or_else(|| wrong("a message of an unknown kind"))?;
        let mut message = Message::new(kind, serial, Body { signature: String::new(), bytes: body, big });
        for (code, value) in fields {
            match (code, value) {
                (PATH, Variant::ObjectPath(path)) => message.path = path.as_str().to_owned(),
                (INTERFACE, Variant::Str(text)) => message.interface = text.as_str().to_owned(),
                (MEMBER, Variant::Str(text)) => message.member = text.as_str().to_owned(),
                (ERROR, Variant::Str(text)) => message.error = text.as_str().to_owned(),
                (DESTINATION, Variant::Str(text)) => message.destination = text.as_str().to_owned(),
                (REPLY_TO, Variant::U32(serial)) => message.reply_to = serial,
                (SIGNATURE, Variant::Signature(signature)) => message.body.signature = signature.to_string_no_parens(),
                _ => {}
            }
        }
        Ok(message)
    }

    /// The values of its body, as a tuple.
    ///
    /// # Errors
    /// They are others.
    pub(crate) fn values<T: for<'a> Deserialize<'a> + Type>(&self) -> Result<T> {
        if self.body.signature != T::SIGNATURE.to_string_no_parens() {
            return Err(wrong(format!("values of types {:?}", self.body.signature)));
        }
        let order = if self.body.big { BE } else { LE };
        let data = Data::new(self.body.bytes.as_slice(), Context::new(order, 0));
        data.deserialize().map(|(values, _)| values).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let body = Body::of(&("x.scope", vec![("Delegate", Variant::from(true))])).expect("it fits");
        let mut sent = Message::new(Kind::Call, 7, body);
        sent.path = "/org/freedesktop/systemd1".to_owned();
        sent.member = "StartTransientUnit".to_owned();
        let bytes = sent.bytes().expect("it fits");
        // As the specification has it: a variant of type `g`, and no parentheses around several values.
        let types = b"\x08\x01g\0\x06sa(sv)\0";
        assert!(bytes.windows(types.len()).any(|part| part == types), "{bytes:?}");
        let got = Message::read(bytes.as_slice()).expect("it is one");
        assert_eq!((got.kind, got.serial, &got.path, &got.member), (Kind::Call, 7, &sent.path, &sent.member));
        let (name, properties): (String, Vec<(String, zbus::OwnedVariant)>) = got.values().expect("they are these");
        assert_eq!((name.as_str(), properties.len()), ("x.scope", 1));
        assert!(got.values::<(u32,)>().is_err());
        let empty = Message::new(Kind::Reply, 1, Body::default()).bytes().expect("it fits");
        assert_eq!(empty.len(), BEGIN);
        assert!(Message::read(&bytes[..bytes.len() - 1]).is_err());
        let mut long = bytes.clone();
        long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Message::read(long.as_slice()).expect_err("it is too long").kind(), ErrorKind::InvalidData);
    }
}
