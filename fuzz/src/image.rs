//! What images and registries say.

use holm_root::image::{Name, parsers};

/// Documents of an image, credentials, and names. What is taken as a name is read the same when it is shown.
pub fn image(bytes: &[u8]) {
    parsers::manifest(bytes);
    if let Some((config, _)) = parsers::config(bytes) {
        let texts = config.env.iter().chain(&config.entrypoint).chain(&config.command);
        assert!(!texts.chain([&config.directory, &config.user]).any(|text| text.contains('\0')));
    }
    let usual = Name::parse("localhost:5000/group/web").expect("it is a name");
    parsers::credentials(bytes, &usual);
    for text in String::from_utf8_lossy(bytes).split_whitespace().take(8) {
        let Ok(name) = Name::parse(text) else { continue };
        assert_eq!(Name::parse(&name.to_string()).ok().as_ref(), Some(&name), "{text}");
        assert!(!name.in_store().contains('/'), "{text}");
        parsers::credentials(bytes, &name);
    }
}
