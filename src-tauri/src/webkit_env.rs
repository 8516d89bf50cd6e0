//! WebKit's environment: how it draws, and how it collects garbage.

/// Sets what WebKit reads from its environment, which cannot be changed safely once there are threads: so the
/// program starts itself once more. A merchant's own settings are left alone.
///
/// - Without a GPU the DMA-BUF renderer costs more than it gives: a frame took 47 ms to the glass with it and 12 ms
///   without, and memory went from 275 to 202 MB.
/// - The garbage collector looks at everything each time. By generations it kept what each shown payment leaves
///   behind for hundreds of payments, 80 MB of it; this page is so small that looking at everything takes no time.
#[cfg(target_os = "linux")]
pub(crate) fn prepare() {
    use std::os::unix::process::CommandExt;

    /// Set by us: there is no third start.
    const PREPARED: &str = "TILLBELL_WEBKIT_PREPARED";
    if std::env::var_os(PREPARED).is_some() {
        return;
    }
    let has_gpu = std::fs::read_dir("/dev/dri").is_ok_and(|nodes| {
        nodes
            .flatten()
            .any(|node| node.file_name().to_string_lossy().starts_with("renderD"))
    });
    let wanted = [
        ("JSC_useGenerationalGC", "false", true),
        ("WEBKIT_DISABLE_DMABUF_RENDERER", "1", !has_gpu),
    ];
    if let Ok(program) = std::env::current_exe() {
        let missing = wanted
            .into_iter()
            .filter(|(name, _, wanted)| *wanted && std::env::var_os(name).is_none());
        // Returns only when it failed; then WebKit does as it likes.
        let _failed = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .envs(missing.map(|(name, value, _)| (name, value)))
            .env(PREPARED, "1")
            .exec();
    }
}

/// Elsewhere the window's engine is another.
#[cfg(not(target_os = "linux"))]
pub(crate) fn prepare() {}
