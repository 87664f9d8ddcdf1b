//! What libFuzzer drives: the target that the environment variable `ONSHELF_FUZZ` names.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<onshelf_fuzz::Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("ONSHELF_FUZZ").unwrap_or_default();
        onshelf_fuzz::target(&name).expect("ONSHELF_FUZZ names no target")
    });
    (target.run)(bytes);
});
