//! Placeholder.
#[test]
fn builds() {
    let _ = onshelf_model::Device::flex().autodiff();
    let _ = onshelf_trainer::stop::asked();
}
