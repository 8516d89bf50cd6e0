//! How WebKit draws.

/// Without a GPU, WebKit's DMA-BUF renderer costs more than it gives: a frame took 47 ms to the glass with it
/// and 12 ms without, and memory went from 275 to 202 MB. WebKit reads the switch from its environment, which
/// cannot be changed safely once there are threads, so the program starts itself once more.
pub(crate) fn prefer_software_where_there_is_no_gpu() {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;

        const SWITCH: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";
        let has_gpu = std::fs::read_dir("/dev/dri").is_ok_and(|nodes| {
            nodes
                .flatten()
                .any(|node| node.file_name().to_string_lossy().starts_with("renderD"))
        });
        if has_gpu || std::env::var_os(SWITCH).is_some() {
            return;
        }
        if let Ok(program) = std::env::current_exe() {
            // Returns only when it failed; then WebKit draws as it likes.
            let _failed = std::process::Command::new(program)
                .args(std::env::args_os().skip(1))
                .env(SWITCH, "1")
                .exec();
        }
    }
}
