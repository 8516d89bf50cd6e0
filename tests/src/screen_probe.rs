//! Single points of a screen, looked at so often that the moment of a change is known to a fraction of a millisecond.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::Screen;

/// Between two looks: without a pause they would take a core from whoever is to draw.
const PAUSE: Duration = Duration::from_micros(50);

/// Reads the colours of single points.
#[derive(Debug)]
pub struct ScreenProbe {
    glass: File,
    start: u64,
    line: u64,
}

impl ScreenProbe {
    /// On this screen.
    ///
    /// # Errors
    /// When the glass cannot be read.
    pub fn on(screen: &Screen) -> anyhow::Result<Self> {
        let mut glass = File::open(screen.glass())?;
        // The header of `xwd`: its own length first, the bytes of a row the 13th, the colour map's entries the 20th.
        let mut header = [0; 80];
        glass.read_exact(&mut header).context("the glass has no header")?;
        let number = |nth: usize| {
            let bytes = header
                .get(nth * 4..nth * 4 + 4)
                .and_then(|four| four.try_into().ok());
            bytes.map_or(0, |four| u64::from(u32::from_be_bytes(four)))
        };
        Ok(Self {
            start: number(0) + number(19) * 12,
            line: number(12),
            glass,
        })
    }

    /// What is there now, red, green and blue.
    ///
    /// # Errors
    /// When the glass cannot be read.
    pub fn colour(&mut self, (x, y): (u32, u32)) -> anyhow::Result<[u8; 3]> {
        let place = self.start + u64::from(y) * self.line + u64::from(x) * 4;
        self.glass.seek(SeekFrom::Start(place))?;
        let mut pixel = [0; 4];
        self.glass.read_exact(&mut pixel)?;
        Ok([pixel[2], pixel[1], pixel[0]])
    }

    /// Looks again and again until `seen`, and answers with the moment.
    ///
    /// # Errors
    /// When it is not `within` this time.
    pub fn until(
        &mut self,
        what: &str,
        within: Duration,
        mut seen: impl FnMut(&mut Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Instant> {
        let deadline = Instant::now() + within;
        loop {
            let found = seen(self)?;
            let now = Instant::now();
            if found {
                return Ok(now);
            }
            anyhow::ensure!(now < deadline, "{what}: not within {within:?}");
            std::thread::sleep(PAUSE);
        }
    }
}
