#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    holm_fuzz::oci::resources(bytes);
});
