//! Values as annotations `org.systemd.property.NAME` write them: a part of GVariant's text format (GLib, "GVariant Text Format"):
//! truth values, numbers with or without their type, texts in quotes, lists of these.

use zbus::{Signature, Variant};

/// The value of a text.
///
/// # Errors
/// It is none of these.
pub(super) fn value(text: &str) -> Result<Variant<'static>, String> {
    let mut reader = Reader(text);
    let value = reader.value()?;
    reader.skip();
    if reader.0.is_empty() {
        Ok(value)
    } else {
        Err(format!("nothing is known to follow a value, as {:?} does", reader.0))
    }
}

struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.0 = self.0.trim_start();
    }

    /// Whether this came next; it is read then.
    fn eat(&mut self, what: &str) -> bool {
        self.skip();
        match self.0.strip_prefix(what) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Result<Variant<'static>, String> {
        self.skip();
        match self.0.chars().next() {
            Some('[') => self.list(),
            Some(quote @ ('\'' | '"')) => self.quoted(quote).map(Variant::from),
            _ => {
                let word = self.word();
                match word {
                    "true" => Ok(true.into()),
                    "false" => Ok(false.into()),
                    "byte" | "int16" | "uint16" | "int32" | "uint32" | "int64" | "uint64" | "double" => {
                        self.skip();
                        let value = self.word();
                        number(word, value)
                    }
                    number_alone => number("int32", number_alone),
                }
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let end = self.0.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut plain = String::new();
        let mut rest = self.0[1..].char_indices();
        while let Some((at, c)) = rest.next() {
            match c {
                '\\' => plain.push(match rest.next() {
                    Some((_, c @ ('\\' | '\'' | '"'))) => c,
                    Some((_, 'n')) => '\n',
                    Some((_, 't')) => '\t',
                    _ => return Err("an escape that is not known".to_owned()),
                }),
                c if c == quote => {
                    self.0 = &self.0[1 + at + 1..];
                    return Ok(plain);
                }
                c => plain.push(c),
            }
        }
        Err("a text without its end".to_owned())
    }

    /// All of one type, which isn't that of a list.
    fn list(&mut self) -> Result<Variant<'static>, String> {
        self.eat("[");
        let mut values = Vec::new();
        while !self.eat("]") {
            if !values.is_empty() && !self.eat(",") {
                return Err("a list without its end".to_owned());
            }
            self.skip();
            if self.0.starts_with('[') {
                return Err("a list of lists".to_owned());
            }
            values.push(self.value()?);
        }
        let first: &Variant<'_> = values.first().ok_or("a list without a type")?;
        let kind: Signature = first.value_signature().clone();
        let mut list = zbus::Array::new(&kind);
        for value in values {
            list.append(value).map_err(|_| "a list of several types")?;
        }
        Ok(list.into())
    }
}

fn number(kind: &str, word: &str) -> Result<Variant<'static>, String> {
    fn parse<T: std::str::FromStr + Into<Variant<'static>>>(word: &str) -> Option<Variant<'static>> {
        word.parse::<T>().ok().map(Into::into)
    }
    let value = match kind {
        "byte" => word
            .strip_prefix("0x")
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .map(Variant::from)
            .or_else(|| parse::<u8>(word)),
        "int16" => parse::<i16>(word),
        "uint16" => parse::<u16>(word),
        "uint32" => parse::<u32>(word),
        "int64" => parse::<i64>(word),
        "uint64" => parse::<u64>(word),
        "double" => parse::<f64>(word),
        _ => parse::<i32>(word),
    };
    value.ok_or_else(|| format!("{word:?} is no value of type {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_types() {
        let read = |text: &str| value(text).map(|value| value.to_string());
        assert_eq!(value("uint64 123456789"), Ok(Variant::U64(123_456_789)));
        assert_eq!(value("-5"), Ok(Variant::I32(-5)));
        assert_eq!(value(" true "), Ok(Variant::Bool(true)));
        assert_eq!(value("'inactive-or-failed'"), Ok(Variant::from("inactive-or-failed".to_owned())));
        assert_eq!(value(r#""a'\"b""#), Ok(Variant::from("a'\"b".to_owned())));
        assert_eq!(value("byte 0x0f"), Ok(Variant::U8(15)));
        assert!(read("['a', 'b']").is_ok() && read("[uint32 1, uint32 2]").is_ok());
        for wrong in
            ["", "yes", "uint32 -1", "'a", "['a', 1]", "[]", "[['a']]", "1 2", "{'a': 1}", "'\\x'", "['a' 'b']"]
        {
            assert!(value(wrong).is_err(), "{wrong}");
        }
    }
}
