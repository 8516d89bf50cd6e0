//! One engine a profile: a second start brings the first one's window to the front and ends.
//!
//! The first listens on a loopback port and writes port and a random word into its profile; whoever can read
//! the profile may knock.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tauri::AppHandle;
use tillbell_till::store::profile::{Profile, replace};

use crate::window;

const PATIENCE: Duration = Duration::from_secs(1);
/// Said to whoever knocked, once the window is in front.
const HERE: &[u8] = b"here";
/// Set when this display is about to end: then nobody is here any more.
static LEAVING: AtomicBool = AtomicBool::new(false);

fn door(profile: &Profile) -> PathBuf {
    profile.ledger_file().with_file_name("front-door")
}

/// Listens for others who start on the same profile.
pub(crate) fn listen(profile: &Profile, app: AppHandle) {
    let path = door(profile);
    let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
        let word = format!("{:032x}", rand::random::<u128>());
        replace(
            &path,
            format!("{} {word}", listener.local_addr()?.port()).as_bytes(),
        )?;
        Ok((listener, word))
    });
    let (listener, word) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            tracing::info!(%error, "a second start will not find this window");
            return;
        }
    };
    let knocks = move || {
        for knock in listener.incoming() {
            let Ok(mut knock) = knock else {
                // Out of file handles, say: not a reason to spin.
                std::thread::sleep(PATIENCE);
                continue;
            };
            let mut said = vec![0; word.len()];
            let heard = knock
                .set_read_timeout(Some(PATIENCE))
                .and_then(|()| knock.read_exact(&mut said));
            if heard.is_ok() && said == word.as_bytes() && !LEAVING.load(Ordering::Relaxed) {
                window::to_front(&app);
                // Whoever knocked may be gone already.
                let _ = knock.write_all(HERE);
            }
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name("front-door".to_owned())
        .spawn(knocks)
    {
        tracing::info!(%error, "a second start will not find this window");
    }
}

/// Asks the one who has the profile to come to the front. True when somebody was there.
pub(crate) fn call(profile: &Profile) -> bool {
    let Ok(sign) = fs::read_to_string(door(profile)) else {
        return false;
    };
    let Some((port, word)) = sign.split_once(' ') else {
        return false;
    };
    let Ok(port) = port.parse::<u16>() else {
        return false;
    };
    let knock = || -> std::io::Result<bool> {
        let mut door = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), PATIENCE)?;
        door.set_read_timeout(Some(PATIENCE))?;
        door.write_all(word.as_bytes())?;
        let mut answer = [0; HERE.len()];
        door.read_exact(&mut answer)?;
        Ok(answer == *HERE)
    };
    knock().unwrap_or(false)
}

/// This display is about to end: whoever knocks from now on is to open their own.
pub(crate) fn leave() {
    LEAVING.store(true, Ordering::Relaxed);
}
