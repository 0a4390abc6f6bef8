//! Text in the form of Debian's control files: paragraphs of fields, parted by blank lines.
//!
//! Nothing is copied: a field's value is the piece of the text that it was. Comments are lines that begin with `#`; they
//! stay inside of a value and are left out by [`Field::lines`]. What no such text may hold is refused where it stands:
//! a line that is no field, a name that can't be one, a field twice in one paragraph.
//!
//! Source: deb822(5).

use memchr::{memchr, memchr_iter};

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'t> {
    /// As written; names that differ by case alone are the same.
    pub name: &'t str,
    /// What follows the colon, without blanks at both ends, with all lines that continue it.
    pub value: &'t str,
}

impl<'t> Field<'t> {
    /// The lines of the value without blanks around them and without comments.
    pub fn lines(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        self.value.split('\n').filter(|line| !line.starts_with('#')).map(|line| line.trim_matches(BLANKS))
    }
}

/// Fields in the order they stand in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paragraph<'t> {
    fields: Vec<Field<'t>>,
}

impl<'t> Paragraph<'t> {
    /// All fields.
    pub fn fields(&self) -> &[Field<'t>] {
        &self.fields
    }

    /// The field of this name, if there is one.
    pub fn field(&self, name: &str) -> Option<&Field<'t>> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The value of the field of this name, if there is one.
    pub fn value(&self, name: &str) -> Option<&'t str> {
        self.field(name).map(|field| field.value)
    }
}

/// A line that no such text can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cause}")]
pub struct Malformed {
    /// Counted from one.
    pub line: usize,
    /// The rule that it breaks.
    pub cause: &'static str,
}

/// The paragraphs of a text, one after the other; nothing follows an error.
pub fn paragraphs(text: &str) -> Paragraphs<'_> {
    Paragraphs { text, at: 0 }
}

/// See [`paragraphs`].
#[derive(Clone, Debug)]
pub struct Paragraphs<'t> {
    text: &'t str,
    at: usize,
}

const BLANKS: [char; 3] = [' ', '\t', '\r'];
/// An index has as many in most of its paragraphs.
const USUAL: usize = 24;

impl<'t> Iterator for Paragraphs<'t> {
    type Item = Result<Paragraph<'t>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.paragraph() {
            Ok(None) => None,
            Ok(Some(paragraph)) => Some(Ok(paragraph)),
            Err((at, cause)) => {
                self.at = self.text.len();
                let line = memchr_iter(b'\n', &self.text.as_bytes()[..at]).count() + 1;
                Some(Err(Malformed { line, cause }))
            }
        }
    }
}

impl<'t> Paragraphs<'t> {
    fn paragraph(&mut self) -> Result<Option<Paragraph<'t>>, (usize, &'static str)> {
        let mut fields: Vec<Field<'t>> = Vec::new();
        while self.at < self.text.len() {
            let start = self.at;
            let line = self.line();
            match line.as_bytes().first() {
                Some(b'#') => {}
                Some(b' ' | b'\t' | b'\r') | None if line.trim_matches(BLANKS).is_empty() => {
                    if !fields.is_empty() {
                        break;
                    }
                }
                Some(b' ' | b'\t') => return Err((start, "it continues no field")),
                _ => {
                    let field = self.field(start, line).map_err(|cause| (start, cause))?;
                    if fields.iter().any(|other| other.name.eq_ignore_ascii_case(field.name)) {
                        return Err((start, "the paragraph has this field already"));
                    }
                    if fields.is_empty() {
                        fields.reserve(USUAL);
                    }
                    fields.push(field);
                }
            }
        }
        Ok((!fields.is_empty()).then_some(Paragraph { fields }))
    }

    /// The field that begins with this line, which was taken, and ends with the lines that continue it, which are taken.
    fn field(&mut self, start: usize, line: &'t str) -> Result<Field<'t>, &'static str> {
        let colon = memchr(b':', line.as_bytes()).ok_or("it has no colon")?;
        let name = &line[..colon];
        if name.is_empty() || name.starts_with('-') || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it does not begin with a field's name");
        }
        let mut end = start + line.len();
        let mut ahead = self.at;
        while let Some(first @ (b' ' | b'\t' | b'#')) = self.text.as_bytes().get(ahead) {
            let (next, after) = line_at(self.text, ahead);
            if *first != b'#' {
                if next.trim_matches(BLANKS).is_empty() {
                    break;
                }
                // A comment belongs to the value only if the value goes on behind it.
                (end, self.at) = (ahead + next.len(), after);
            }
            ahead = after;
        }
        Ok(Field { name, value: self.text[start + colon + 1..end].trim_matches([' ', '\t', '\r', '\n']) })
    }

    fn line(&mut self) -> &'t str {
        let (line, after) = line_at(self.text, self.at);
        self.at = after;
        line
    }
}

/// The line that begins at `start`, without its end, and where the next one begins.
fn line_at(text: &str, start: usize) -> (&str, usize) {
    match memchr(b'\n', &text.as_bytes()[start..]) {
        Some(length) => (&text[start..start + length], start + length + 1),
        None => (&text[start..], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Vec<(&str, &str)>>, Malformed> {
        let pairs = |paragraph: Paragraph<'static>| -> Vec<(&'static str, &'static str)> {
            paragraph.fields().iter().map(|field| (field.name, field.value)).collect()
        };
        let text: &'static str = text.to_owned().leak();
        paragraphs(text).map(|paragraph| paragraph.map(pairs)).collect()
    }

    #[test]
    fn fields_and_paragraphs_are_found() {
        let text = "\n\nPackage: a\nDescription:  short \n long\n  .\n\n \t\r\n# no\nPackage:b\n";
        let expected = vec![vec![("Package", "a"), ("Description", "short \n long\n  .")], vec![("Package", "b")]];
        assert_eq!(read(text).expect("it is well formed"), expected);
        assert_eq!(read("").expect("it is empty"), Vec::<Vec<_>>::new());
        assert_eq!(read("#a\n#b").expect("it is a comment"), Vec::<Vec<_>>::new());
        assert_eq!(read("A:").expect("it has no value"), vec![vec![("A", "")]]);
        assert_eq!(read("A: b\r\nC: d\r\n\r\nE: f\r\n").expect("it has DOS lines")[1], vec![("E", "f")]);
    }

    #[test]
    fn a_name_is_found_in_any_case() {
        let paragraph = paragraphs("Signed-By: x\n").next().expect("there is one").expect("it is well formed");
        assert_eq!(paragraph.value("signed-by"), Some("x"));
        assert_eq!(paragraph.value("Signed"), None);
    }

    #[test]
    fn comments_inside_of_a_value_are_no_lines_of_it() {
        let text = "URIs: a\n# b\n  c \n# d\nX: y\n# e\n\nZ: z\n";
        let all: Vec<_> = paragraphs(text).collect::<Result<_, _>>().expect("it is well formed");
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].field("URIs").expect("it is there").lines().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(all[0].value("X"), Some("y"));
    }

    #[test]
    fn what_is_no_field_is_refused_with_its_line() {
        let refused = [
            ("A: b\n\n c\n", 3, "it continues no field"),
            ("A: b\nwords\n", 2, "it has no colon"),
            ("A: b\n: c\n", 2, "it does not begin with a field's name"),
            ("-----BEGIN: x\n", 1, "it does not begin with a field's name"),
            ("a b: c\n", 1, "it does not begin with a field's name"),
            ("\u{e9}: c\n", 1, "it does not begin with a field's name"),
            ("A: b\na: c\n", 2, "the paragraph has this field already"),
        ];
        for (text, line, cause) in refused {
            assert_eq!(read(text), Err(Malformed { line, cause }), "{text:?}");
        }
    }
}
