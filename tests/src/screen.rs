//! A screen that nobody sees.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::process::{Running, program};

/// An X server of its own.
#[derive(Debug)]
pub struct Screen {
    number: String,
    size: (u32, u32),
    frame: TempDir,
    _server: Running,
}

/// A kept picture of a screen.
#[derive(Debug, Clone)]
pub struct Shot {
    /// Where it lies.
    pub path: PathBuf,
    /// How many different colours it has: a blank screen has one.
    pub colours: usize,
    /// The colour in the middle of the upper edge, red, green and blue.
    pub edge: [u8; 3],
}

/// What was on a screen.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Row by row.
    pixels: Vec<[u8; 3]>,
    size: (u32, u32),
}

impl Picture {
    /// What the codes on it say, as a phone's camera would read them.
    #[must_use]
    pub fn codes(&self) -> Vec<String> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            let sum: u16 = self.at(x, y).into_iter().map(u16::from).sum();
            u8::try_from(sum / 3).unwrap_or(u8::MAX)
        });
        let codes = image.detect_grids().into_iter();
        codes
            .filter_map(|code| code.decode().ok())
            .map(|(_, text)| text)
            .collect()
    }

    /// A point's colour, red, green and blue; black outside.
    #[must_use]
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let width = self.size.0 as usize;
        let inside = (x < width).then(|| self.pixels.get(y * width + x)).flatten();
        inside.copied().unwrap_or_default()
    }

    /// The colour in the middle of the upper edge.
    #[must_use]
    pub fn edge(&self) -> [u8; 3] {
        self.at(self.size.0 as usize / 2, 2)
    }

    /// Keeps it as `NAME.png` in `$TILLBELL_SHOTS`, else in `target/shots`, and says where that is.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = std::env::var_os("TILLBELL_SHOTS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/shots"),
            PathBuf::from,
        );
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.png"));
        let mut encoder = png::Encoder::new(std::fs::File::create(&path)?, self.size.0, self.size.1);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()?
            .write_image_data(self.pixels.as_flattened())?;
        Ok(path)
    }
}

impl Screen {
    /// One of this size, in pixels.
    ///
    /// # Errors
    /// When Xvfb is missing or does not start.
    pub fn start(width: u32, height: u32) -> anyhow::Result<Self> {
        Self::start_with(width, height, &[])
    }

    /// One whose X server gets these arguments, too.
    ///
    /// # Errors
    /// When Xvfb is missing or does not start.
    pub fn start_with(width: u32, height: u32, arguments: &[&str]) -> anyhow::Result<Self> {
        let frame = tempfile::tempdir()?;
        let mut command = program("Xvfb");
        command.arg("-fbdir").arg(frame.path());
        command.args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            &format!("{width}x{height}x24"),
            "-dpi",
            "96",
        ]);
        command.args(["-nolisten", "tcp", "-noreset"]).args(arguments);
        let server = Running::start("Xvfb", command)?;
        let number = server
            .line(Duration::from_secs(20))?
            .context("Xvfb does not say its number")?
            .1;
        Ok(Self {
            number,
            size: (width, height),
            frame,
            _server: server,
        })
    }

    /// What `DISPLAY` calls it.
    #[must_use]
    pub fn name(&self) -> String {
        format!(":{}", self.number)
    }

    /// Its size in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The file that is the glass.
    pub(crate) fn glass(&self) -> PathBuf {
        self.frame.path().join("Xvfb_screen0")
    }

    /// Lets `command` draw on it.
    pub fn dress(&self, command: &mut Command) {
        command.env("DISPLAY", self.name()).env("GDK_BACKEND", "x11");
    }

    /// Keeps what is on the glass now as `NAME.png` in `$TILLBELL_SHOTS`, else in `target/shots`.
    ///
    /// # Errors
    /// When the picture cannot be read or kept.
    pub fn shot(&self, name: &str) -> anyhow::Result<Shot> {
        let picture = self.picture()?;
        let path = picture.keep(name)?;
        let edge = picture.edge();
        let colours = picture
            .pixels
            .into_iter()
            .collect::<std::collections::HashSet<_>>()
            .len();
        Ok(Shot { path, colours, edge })
    }

    /// What is on the glass now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn picture(&self) -> anyhow::Result<Picture> {
        Ok(Picture {
            pixels: self.pixels()?,
            size: self.size,
        })
    }

    /// The glass itself, row by row. Xvfb keeps it in a file in the form of `xwd`: a header of 32-bit numbers, a
    /// colour map, and then the pixels.
    fn pixels(&self) -> anyhow::Result<Vec<[u8; 3]>> {
        let file = std::fs::read(self.frame.path().join("Xvfb_screen0"))?;
        let number = |nth: usize| {
            let bytes = file
                .get(nth * 4..nth * 4 + 4)
                .and_then(|bytes| bytes.try_into().ok());
            bytes
                .map(|bytes| u32::from_be_bytes(bytes) as usize)
                .context("the picture has no header")
        };
        let (header, width, height) = (number(0)?, number(4)?, number(5)?);
        let (bits, line, colours) = (number(11)?, number(12)?, number(19)?);
        anyhow::ensure!(
            bits == 32 && self.size == (width as u32, height as u32),
            "an unexpected picture"
        );
        let start = header + colours * 12;
        let rows = file
            .get(start..start + line * height)
            .context("the picture is cut off")?;
        let rows = rows
            .chunks_exact(line)
            .flat_map(|row| row[..width * 4].chunks_exact(4));
        Ok(rows.map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect())
    }
}
