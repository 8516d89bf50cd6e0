//! LibreOffice without a window: what it makes of a text file.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

use crate::process::{Running, program};

/// What a cell turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// A day, or a time of a day: ISO 8601.
    Date(String),
    /// Text.
    Text(String),
    /// Something that is computed: how.
    Formula(String),
    /// Nothing.
    Empty,
}

/// Its number of UTF-8.
const UTF_8: u8 = 76;
/// Its number of German.
const GERMAN: u16 = 1031;

/// Opens a text file as a user does whose computer speaks German, who says that it is split at `separator` and has dates
/// found. Answers with its rows.
///
/// # Errors
/// When LibreOffice does not start, takes longer than two minutes, or writes something else than a sheet.
pub fn open_as_german(text: &str, separator: char) -> anyhow::Result<Vec<Vec<Cell>>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("payments.csv");
    fs::write(&file, text)?;
    let mut command = program("soffice");
    command
        .arg(format!(
            "-env:UserInstallation=file://{}/user",
            folder.path().display()
        ))
        .arg("--headless")
        .arg(format!(
            "--infilter=CSV:{},34,{UTF_8},1,,{GERMAN},false,true",
            u32::from(separator)
        ))
        .args(["--convert-to", "fods", "--outdir"])
        .arg(folder.path())
        .arg(&file)
        .env("HOME", folder.path())
        .env("LC_ALL", "C.UTF-8");
    let mut office = Running::start("LibreOffice", command)?;
    let ended = office.wait(Duration::from_secs(120));
    let well = ended.with_context(|| office.last_words())?.success();
    anyhow::ensure!(well, "{}", office.last_words());
    let sheet =
        fs::read_to_string(folder.path().join("payments.fods")).with_context(|| office.last_words())?;
    let sheet = sheet.split("<table:table ").nth(1).context("no table")?;
    Ok(sheet.split("<table:table-row ").skip(1).map(row).collect())
}

fn row(xml: &str) -> Vec<Cell> {
    let cells = xml.split("<table:table-cell").skip(1).flat_map(|xml| {
        let times = attribute(xml, "table:number-columns-repeated").and_then(|times| times.parse().ok());
        std::iter::repeat_n(cell(xml), times.unwrap_or(1))
    });
    let mut cells: Vec<_> = cells.collect();
    // It fills the sheet up to its end.
    cells.truncate(64);
    cells
}

fn cell(xml: &str) -> Cell {
    if let Some(formula) = attribute(xml, "table:formula") {
        return Cell::Formula(formula);
    }
    let text = || {
        let shown = xml
            .split("<text:p>")
            .skip(1)
            .filter_map(|p| p.split("</text:p>").next());
        plain(&shown.collect::<Vec<_>>().join("\n"))
    };
    match attribute(xml, "office:value-type").as_deref() {
        None => Cell::Empty,
        Some("float") => attribute(xml, "office:value")
            .and_then(|value| value.parse().ok())
            .map_or_else(|| Cell::Text(text()), Cell::Number),
        Some("date") => Cell::Date(attribute(xml, "office:date-value").unwrap_or_default()),
        Some(_) => Cell::Text(text()),
    }
}

/// Of the first tag.
fn attribute(xml: &str, name: &str) -> Option<String> {
    let tag = xml.split('>').next()?;
    let value = tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    Some(plain(value))
}

fn plain(xml: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    named
        .into_iter()
        .fold(xml.to_owned(), |text, (name, plain)| text.replace(name, plain))
}
