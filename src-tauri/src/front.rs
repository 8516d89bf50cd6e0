//! One engine a profile: a second start brings the first one's window to the front and ends.
//!
//! The first listens on a loopback port and writes port and a random word into its profile; whoever can read
//! the profile may knock.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use tauri::AppHandle;
use tillbell_till::profile::{Profile, replace};

use crate::window;

const PATIENCE: Duration = Duration::from_secs(1);

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
        for knock in listener.incoming().flatten() {
            let mut said = String::new();
            let heard = knock
                .set_read_timeout(Some(PATIENCE))
                .and_then(|()| knock.take(word.len() as u64).read_to_string(&mut said));
            if heard.is_ok() && said == word {
                window::to_front(&app);
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
    TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), PATIENCE)
        .and_then(|mut knock| knock.write_all(word.as_bytes()))
        .is_ok()
}
