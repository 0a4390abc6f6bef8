#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static ROOT: std::sync::OnceLock<holm_fuzz::Root> = std::sync::OnceLock::new();
    holm_fuzz::debian::package(ROOT.get_or_init(holm_fuzz::Root::empty), bytes);
});
