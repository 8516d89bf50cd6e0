//! Figures as the tables have them.

use tillbell_tests::figures::{extremes, median, percentile};
use tillbell_tests::steps::Steps;

use crate::contender::Told;

pub(crate) fn one(value: f64) -> String {
    format!("{value:.1}")
}

/// The median of some, the 95th percentile of many, the least and the most.
pub(crate) fn cell(values: &[f64]) -> String {
    let (least, most) = extremes(values);
    match values.len() {
        0 => String::new(),
        1 => format!("{:.2}", median(values)),
        2..20 => format!("{:.1} ({least:.1} … {most:.1})", median(values)),
        20.. => format!(
            "{:.1}, {:.1} ({least:.1} … {most:.1})",
            median(values),
            percentile(values, 95)
        ),
    }
}

/// Our median in parts of theirs.
pub(crate) fn ratio(ours: &[f64], theirs: &[f64]) -> String {
    match median(theirs) {
        0.0 => String::new(),
        theirs => format!("{:.2}", median(ours) / theirs),
    }
}

/// How far these payments had come after how long, as the display's log says.
pub(crate) fn print_steps(log: &str, told: &[Told]) {
    let steps = Steps::read(log);
    let mut each = Vec::<(String, Vec<f64>)>::new();
    for told in told {
        for (name, after) in steps.of(&told.payment_hash, told.sent) {
            match each.iter_mut().find(|(known, _)| *known == name) {
                Some((_, all)) => all.push(after),
                None => each.push((name, vec![after])),
            }
        }
    }
    each.sort_by(|(_, one), (_, other)| median(one).total_cmp(&median(other)));
    println!("\n| Tillbell's step | ms after the frame | ms since the step before |");
    println!("|---|---|---|");
    let mut before = 0.0;
    for (name, all) in each {
        let now = median(&all);
        println!("| {name} | {} | {:.2} |", cell(&all), now - before);
        before = now;
    }
}
