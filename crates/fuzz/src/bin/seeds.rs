//! Writes the corpus that is checked in: `cargo run -p onshelf-fuzz --bin seeds -- --write`. Without
//! `--write` it prints the targets' names alone.

#![allow(clippy::print_stdout, reason = "a command line prints")]

use std::path::Path;

fn main() -> std::io::Result<()> {
    let write = std::env::args().any(|word| word == "--write");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in onshelf_fuzz::targets() {
        println!("{}", target.name);
        if !write {
            continue;
        }
        let folder = corpus.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in (target.seeds)() {
            std::fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
