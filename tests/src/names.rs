//! A name server (RFC 1035) that knows one machine, says that there is none, or says nothing.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

/// What it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Every name has this address.
    All(Ipv4Addr),
    /// No name exists.
    Unknown,
    /// Nothing.
    Silent,
}

/// A running name server on port 53 of an address of a test's own.
#[derive(Debug)]
pub struct NameServer {
    names: Arc<Mutex<Names>>,
}

impl NameServer {
    /// Starts it; it ends with this process.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(address: &str, names: Names) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((address, 53))?;
        let names = Arc::new(Mutex::new(names));
        let current = Arc::clone(&names);
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let names = *current.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(answer) = answer(&question[..length], names) {
                    // Whoever asked may be gone.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Ok(Self { names })
    }

    /// From now on it answers so.
    pub fn answers(&self, names: Names) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }
}

/// The answer to a question for one name; the question itself is repeated, and anything after it is not.
fn answer(question: &[u8], names: Names) -> Option<Vec<u8>> {
    const A: [u8; 4] = [0, 1, 0, 1];
    let header = question.get(..12)?;
    let name_ends = 12 + question[12..].iter().position(|byte| *byte == 0)? + 1;
    let asked = question.get(12..name_ends + 4)?;
    let (code, address) = match names {
        Names::Silent => return None,
        Names::Unknown => (3, None),
        // Of an address of another kind there is none, which is not the same as no such name.
        Names::All(address) => (0, asked.ends_with(&A).then_some(address)),
    };
    let mut answer = header[..2].to_vec();
    // An authoritative answer to a question that wished for recursion, which is available.
    answer.extend([
        0x85,
        0x80 | code,
        0,
        1,
        0,
        u8::from(address.is_some()),
        0,
        0,
        0,
        0,
    ]);
    answer.extend(asked);
    if let Some(address) = address {
        // The name that stands at offset 12, an A record, valid for no time at all, of four bytes.
        answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
