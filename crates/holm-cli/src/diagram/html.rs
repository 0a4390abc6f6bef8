//! The picture as a page: one file with the SVG in it, a search, boxes that collapse, and a dark look. It asks nothing of any
//! network, and its policy lets it run no script but its own (Content Security Policy, by hashes).

use super::picture::Picture;
use super::svg::{self, Place, escape};

const STYLE: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");
/// SHA-256 of the script, in base 64.
pub(super) const SCRIPT_HASH: &str = "cLh3xR0PB/YI30luHkCJPtQ45ubrmKSFnWBDPSrWIBY=";

/// The page.
pub(crate) fn write(picture: &Picture) -> String {
    let title = escape(&picture.title);
    let dark = |scope: &str| {
        format!("{scope} {{ --dark: 1; --paper: #0b1220; --ink: #e2e8f0; --faint: #94a3b8; --line: #334155 }}\n")
    };
    let system = ":root:not([data-theme=light])";
    let chosen = ":root[data-theme=dark]";
    let style = format!(
        "{STYLE}{}{}@media (prefers-color-scheme: dark) {{\n{}{}}}\n",
        dark(chosen),
        svg::dark(&format!("{chosen} ")),
        dark(system),
        svg::dark(&format!("{system} "))
    );
    let drawing = svg::drawing(picture, Place::Page, "");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{style}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n\
         <input id=\"search\" type=\"search\" placeholder=\"Search\" aria-label=\"Search\" hidden>\n<output id=\"count\"></output>\n\
         <button id=\"collapse\" type=\"button\" hidden>Collapse all</button>\n<button id=\"dark\" type=\"button\" hidden>Light / dark</button>\n\
         </header>\n<main>\n{drawing}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}
