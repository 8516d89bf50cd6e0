//! Files that must never be half there: replaced in one step, or set aside under a dated name. And what a disk that refuses them
//! has.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

/// What the disk has, as far as the system says. Displays as what to do about it; serialises as a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, derive_more::Display)]
#[serde(rename_all = "kebab-case")]
pub enum DiskTrouble {
    /// No room, for anybody or for this user.
    #[display("The disk is full: free some space.")]
    Full,
    /// It cannot be read or written, or the system has made it read-only because of that.
    #[display("The disk fails or became read-only: see that it may be written, or replace it.")]
    Failing,
    /// Anything else.
    #[display("Check that its folder may be written and that the disk is not full.")]
    Unknown,
}

impl DiskTrouble {
    /// What an error tells.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        let code = error.raw_os_error();
        if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            Self::Full
        } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem
            || code.is_some_and(|code| FAILS.contains(&code))
        {
            Self::Failing
        } else {
            Self::Unknown
        }
    }

    /// What a folder's disk has when something is written there; `None` where that goes well.
    pub(crate) fn in_folder(folder: &Path) -> Option<Self> {
        let path = folder.join(".tillbell-probe");
        let written = private()
            .create(true)
            .truncate(true)
            .open(&path)
            .and_then(|mut file| file.write_all(&[0; PROBE]));
        let _ = fs::remove_file(path);
        written.err().map(|error| Self::of(&error))
    }
}

/// More than SQLite takes at once.
const PROBE: usize = 64 * 1024;

/// EIO, and what is said of a card that was pulled out: ENXIO, ENODEV.
#[cfg(unix)]
const FAILS: [i32; 3] = [5, 6, 19];
/// `ERROR_CRC`, `ERROR_GEN_FAILURE`, `ERROR_IO_DEVICE`.
#[cfg(not(unix))]
const FAILS: [i32; 3] = [23, 31, 1117];

/// Moves a file (and SQLite's two beside it) to a dated name in the same folder, and says which.
///
/// # Errors
/// When the folder may not be written.
pub fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let dated = |extra: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".aside-{}{extra}", now.strftime("%Y-%m-%dT%H-%M-%SZ")));
        PathBuf::from(name)
    };
    let mut target = dated("");
    let mut attempt = 1;
    while target.exists() {
        attempt += 1;
        target = dated(&format!("-{attempt}"));
    }
    for suffix in ["-wal", "-shm"] {
        let beside = |of: &Path| {
            let mut name = of.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        if beside(path).exists() {
            fs::rename(beside(path), beside(&target))?;
        }
    }
    match fs::rename(path, &target) {
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(target),
        moved => moved.map(|()| target),
    }
}

/// Makes a folder where it is missing, for this user only.
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Replaces a file in one step, so that a crash leaves the old one or the new one; on Unix for this user only. A symbolic link
/// stays, and what it leads to is replaced.
///
/// # Errors
/// When the folder cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_as(path, content, None)
}

/// The same for a file that people edit: where there is one, who may read it stays as it is, and, where the system allows that, whose
/// it is.
///
/// # Errors
/// When the folder cannot be written.
pub fn replace_shared(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_as(path, content, fs::metadata(path).ok().as_ref())
}

fn replace_as(path: &Path, content: &[u8], like: Option<&Metadata>) -> io::Result<()> {
    let path = &behind_links(path);
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    make_private_folder(folder)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let write = || {
        let mut file = private().create(true).truncate(true).open(&fresh)?;
        file.write_all(content)?;
        if let Some(like) = like {
            make_alike(&file, like)?;
        }
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    // On a full disk half of it would be in the way of everything else.
    write().inspect_err(|_| drop(fs::remove_file(&fresh)))?;
    sync_folder(folder)
}

/// Where a file really is: also one that is not there yet, behind a link that leads nowhere.
fn behind_links(path: &Path) -> PathBuf {
    /// As many as Linux follows.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or_else(|| Path::new(".")).join(target);
    }
    path
}

/// Gives a new file the owner and the permissions of the one before. Another user's file can be given to them by root only.
fn make_alike(file: &File, like: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            let _ = fchown(file, Some(like.uid()), Some(like.gid()));
        }
    }
    file.set_permissions(like.permissions())
}

/// The same for what must go from a full disk, too: where there is no room for a new file, one that gets no longer is overwritten. A
/// crash in that moment leaves neither the old nor the new one.
pub(crate) fn replace_or_overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let length = content.len() as u64;
    match replace(path, content) {
        Err(error)
            if DiskTrouble::of(&error) == DiskTrouble::Full
                && fs::metadata(path).is_ok_and(|old| length <= old.len()) =>
        {
            let mut file = private().open(path)?;
            file.write_all(content)?;
            file.set_len(length)?;
            file.sync_all()
        }
        replaced => replaced,
    }
}

/// Opens a file to write; where it is made, on Unix for this user only (mode 0600).
pub(crate) fn private() -> OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Brings a folder's names to the disk. On a file system that cannot do that (some in a network, some made by programs) the names
/// get there when they get there: no failure.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        const EBADF: i32 = 9;
        let synced = File::open(folder)?.sync_all();
        let cannot = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) || error.raw_os_error() == Some(EBADF)
        };
        match synced {
            Err(error) if cannot(&error) => tracing::debug!(%error, "this folder cannot be synced"),
            synced => synced?,
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_is_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_the_file_behind_it_is_replaced() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("dotfiles")).unwrap();
        fs::write(at("dotfiles/real.toml"), "one").unwrap();
        fs::set_permissions(at("dotfiles/real.toml"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("dotfiles/real.toml", at("first")).unwrap();
        symlink(at("first"), at("second")).unwrap();
        replace_shared(&at("second"), b"two").unwrap();
        assert_eq!(fs::read(at("dotfiles/real.toml")).unwrap(), b"two");
        let mode = fs::metadata(at("second")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        for link in ["first", "second"] {
            assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink(), "{link}");
        }
        assert_eq!(fs::read_dir(at("dotfiles")).unwrap().count(), 1);

        symlink("dotfiles/not-yet.toml", at("ahead")).unwrap();
        replace(&at("ahead"), b"three").unwrap();
        assert_eq!(fs::read(at("dotfiles/not-yet.toml")).unwrap(), b"three");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_cannot_be_synced_is_no_failure() {
        // The system says of each of its own that it cannot.
        let folder = Path::new("/proc/self");
        let said = File::open(folder).unwrap().sync_all().unwrap_err();
        assert_eq!(said.kind(), io::ErrorKind::InvalidInput);
        sync_folder(folder).unwrap();
        assert!(
            sync_folder(Path::new("/nowhere")).is_err(),
            "one that is not there is"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_is_full_and_one_that_fails_are_told_apart() {
        let refused = |path: &str| {
            let mut file = File::options().write(true).open(path).unwrap();
            DiskTrouble::of(&file.write_all(&[0; 16]).unwrap_err())
        };
        assert_eq!(refused("/dev/full"), DiskTrouble::Full);
        // Nothing is mapped at address 0.
        assert_eq!(refused("/proc/self/mem"), DiskTrouble::Failing);
        let read_only = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        assert_eq!(DiskTrouble::of(&read_only), DiskTrouble::Failing);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(DiskTrouble::of(&denied), DiskTrouble::Unknown);
    }

    #[test]
    fn a_folder_is_tried_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(DiskTrouble::in_folder(folder.path()), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let gone = folder.path().join("gone");
        assert_eq!(DiskTrouble::in_folder(&gone), Some(DiskTrouble::Unknown));
    }
}
