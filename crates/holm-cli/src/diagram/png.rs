//! The picture in dots (PNG), drawn of the SVG by resvg with the fonts of this machine.

use crate::report::Fault;
use crate::see::fault;
use resvg::tiny_skia::{IntSize, Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};
use std::sync::Arc;

/// How many dots a unit of the picture has on each side: where that is too many, fewer, down to where no text can be read.
const SCALE: f32 = 2.0;
const LEAST: f32 = 0.5;
/// The most dots of a side, and of all: they have four bytes each.
const SIDE: f32 = 16_384.0;
const ALL: f32 = 40e6;

/// Draws this SVG.
pub(super) fn write(svg: &str) -> Result<Vec<u8>, Fault> {
    let mut fonts = Database::new();
    fonts.load_system_fonts();
    draw(svg, fonts)
}

fn draw(svg: &str, mut fonts: Database) -> Result<Vec<u8>, Fault> {
    let [text, code] =
        [("DejaVu Sans", false), ("DejaVu Sans Mono", true)].map(|(best, even)| family(&fonts, best, even));
    let (Some(text), Some(code)) = (text, code) else {
        let hint = "install some, as fonts-dejavu-core; or draw an SVG: holm diagram -o machine.svg";
        return Err(wrong("this machine has no fonts", hint));
    };
    fonts.set_sans_serif_family(text);
    fonts.set_monospace_family(code);
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let hint = "holm diagram -o machine.svg";
    let tree = Tree::from_str(svg, &options).map_err(|error| wrong(&error.to_string(), hint))?;
    let [width, height] = [tree.size().width(), tree.size().height()];
    let (scale, sides) = dots(width, height).ok_or_else(|| {
        let hint = "holm diagram PID draws less; an SVG has any size: holm diagram -o machine.svg";
        wrong(&format!("at {width} x {height} nobody could read it"), hint)
    })?;
    let mut dots = blank(sides).ok_or_else(|| wrong("there is not enough memory", hint))?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut dots.as_mut());
    dots.encode_png().map_err(|error| wrong(&error.to_string(), hint))
}

/// The family to be used: the one that boxes are made for, or else any, and if there is one, of letters that are as wide as each other.
fn family(fonts: &Database, best: &str, even: bool) -> Option<String> {
    let names = || fonts.faces().filter_map(|face| Some((face.families.first()?.0.clone(), face.monospaced)));
    let fits = |(name, monospaced): &(String, bool)| (name != best, *monospaced != even);
    names().min_by_key(fits).map(|(name, _)| name)
}

/// How many dots a unit of a picture of this size gets, and how many the whole has on each side; `None` if those are too few.
fn dots(width: f32, height: f32) -> Option<(f32, [u32; 2])> {
    let scale = SCALE.min(SIDE / width).min(SIDE / height).min((ALL / width / height).sqrt());
    (scale >= LEAST).then(|| (scale, [width, height].map(|length| ((length * scale) as u32).max(1))))
}

/// A picture of nothing; `None` without the memory for it.
fn blank([width, height]: [u32; 2]) -> Option<Pixmap> {
    let mut bytes = Vec::new();
    let size = IntSize::from_wh(width, height)?;
    let length = 4 * width as usize * height as usize;
    bytes.try_reserve_exact(length).ok()?;
    bytes.resize(length, 0);
    Pixmap::from_vec(bytes, size)
}

fn wrong(cause: &str, hint: &str) -> Fault {
    fault(format!("cannot draw a PNG: {cause}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_picture_gets_fewer_dots_until_it_is_too_large() {
        assert_eq!(dots(100.0, 50.0), Some((2.0, [200, 100])));
        assert_eq!(dots(32_768.0, 10.0), Some((0.5, [16_384, 5])));
        assert_eq!(dots(32_769.0, 1.0), None);
        let (_, [width, height]) = dots(10_000.0, 10_000.0).expect("it can be read");
        assert!(width == height && (6_000..=6_325).contains(&width), "{width}");
        assert_eq!(dots(20_000.0, 20_000.0), None);
    }

    #[test]
    fn what_cannot_be_drawn_says_why() {
        let wrong = |svg: &str, fonts: Database| match draw(svg, fonts) {
            Ok(_) => String::new(),
            Err(fault) => fault.message,
        };
        assert_eq!(wrong("<svg/>", Database::new()), "cannot draw a PNG: this machine has no fonts");
        let mut fonts = Database::new();
        fonts.load_system_fonts();
        assert!(wrong("<svg", fonts.clone()).starts_with("cannot draw a PNG: "));
        let wide = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"90000\" height=\"40\"/>";
        assert_eq!(wrong(wide, fonts), "cannot draw a PNG: at 90000 x 40 nobody could read it");
        assert!(blank([u32::MAX, 1 << 28]).is_none() && blank([0, 1]).is_none());
    }

    #[test]
    fn text_is_drawn_with_whatever_fonts_there_are() {
        let mut fonts = Database::new();
        fonts.load_system_fonts();
        let one =
            fonts.faces().find(|face| face.monospaced).map(|face| face.source.clone()).expect("a machine has one");
        let mut few = Database::new();
        few.load_font_source(one);
        let svg = |text: &str| {
            format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"90\" height=\"40\" font-family=\"'No such font', sans-serif\">\
                 <text x=\"5\" y=\"20\">{text}</text></svg>"
            )
        };
        let drawn = |text: &str| draw(&svg(text), few.clone()).ok();
        assert!(drawn("one").is_some() && drawn("one") != drawn(""));
    }
}
