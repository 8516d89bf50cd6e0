//! WebKit's environment: how it draws, and how it collects garbage.

/// Sets what WebKit reads from its environment, which cannot be changed safely once there are threads: so the
/// program starts itself once more. A merchant's own settings are left alone.
///
/// The garbage collector looks at everything each time. By generations it kept what each shown payment leaves
/// behind for hundreds of payments, 80 MB of it; this page is so small that looking at everything takes no time.
#[cfg(target_os = "linux")]
pub(crate) fn prepare() {
    use std::os::unix::process::CommandExt;

    use tillbell_machine::renderer;

    /// Set by us: there is no third start.
    const PREPARED: &str = "TILLBELL_WEBKIT_PREPARED";
    const GARBAGE: (&str, &str) = ("JSC_useGenerationalGC", "false");
    if std::env::var_os(PREPARED).is_some() {
        return;
    }
    let drawn = renderer::find().renderer().variable();
    let collected = std::env::var_os(GARBAGE.0).is_none().then_some(GARBAGE);
    if let Ok(program) = std::env::current_exe() {
        // Returns only when it failed; then WebKit does as it likes.
        let _failed = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .envs(drawn.into_iter().chain(collected))
            .env(PREPARED, "1")
            .exec();
    }
}

/// Elsewhere the window's engine is another.
#[cfg(not(target_os = "linux"))]
pub(crate) fn prepare() {}
