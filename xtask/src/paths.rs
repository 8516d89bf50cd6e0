//! Where the project lies.

use std::path::PathBuf;

/// The clone's top folder.
pub(crate) fn top() -> PathBuf {
    // Where cargo runs it, which need not be where it was built.
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().unwrap_or(&here).to_path_buf()
}
