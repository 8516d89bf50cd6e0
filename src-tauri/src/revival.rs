//! When the engine has ended by a fault of ours, the screen says so at once, and the program starts itself anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tauri::AppHandle;
use tillbell_till::engine::End;
use tillbell_till::files::replace;
use tokio::task::JoinHandle;

/// The merchant may read the screen meanwhile.
const PAUSE: Duration = Duration::from_secs(3);
/// So many times within so long; then the screen stays as it is, for somebody to look at.
const AT_MOST: usize = 3;
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// Waits for the engine's end. `file` remembers when the program started itself anew.
pub(crate) async fn after_a_fault(end: JoinHandle<End>, file: PathBuf, app: AppHandle) {
    if end.await.is_ok_and(|end| end == End::Stopped) {
        return;
    }
    if !may_start(&file, SystemTime::now()) {
        tracing::error!("the engine fails again and again: the program does not start itself any more");
        return;
    }
    tokio::time::sleep(PAUSE).await;
    app.restart();
}

/// True, and remembered, if it was not too often already.
fn may_start(file: &Path, now: SystemTime) -> bool {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = seconds(now);
    let read = fs::read(file).ok();
    let mut starts: Vec<u64> = read
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    starts.retain(|start| now.abs_diff(*start) < WITHIN.as_secs());
    if starts.len() >= AT_MOST {
        return false;
    }
    starts.push(now);
    let written = serde_json::to_vec(&starts)
        .map_err(std::io::Error::from)
        .and_then(|text| replace(file, &text));
    // What cannot be counted could go on for ever.
    written.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_itself_anew_three_times_in_ten_minutes_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("revivals.json");
        let at = |minutes: u64| UNIX_EPOCH + Duration::from_secs(1_000_000 + minutes * 60);
        assert!([0, 1, 2].iter().all(|minutes| may_start(&file, at(*minutes))));
        assert!(!may_start(&file, at(3)));
        assert!(may_start(&file, at(11)));
    }

    #[test]
    fn it_does_not_where_that_cannot_be_counted() {
        let nowhere = Path::new("/proc/revivals.json");
        assert!(!may_start(nowhere, SystemTime::now()));
    }
}
