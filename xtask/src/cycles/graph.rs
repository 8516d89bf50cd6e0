//! Who imports whom, and the cycles in that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// Paths of files or folders, with what each imports and one name of it.
pub(super) type Graph = BTreeMap<PathBuf, BTreeMap<PathBuf, String>>;

/// Texts of files by their paths.
pub(super) type Sources = BTreeMap<PathBuf, String>;

/// The cycles of files, each in a line.
pub(super) fn between_files(graph: &Graph) -> Vec<String> {
    cycles(graph, |_| true)
}

/// The cycles in which a folder takes part, each in a line.
pub(super) fn between_folders(graph: &Graph) -> Vec<String> {
    let mut entries = Graph::new();
    for (from, imported) in graph {
        for (to, name) in imported {
            let (from, to) = below_common_folder(from, to);
            entries.entry(from).or_default().insert(to, name.clone());
        }
    }
    cycles(&entries, |entry| entry.extension().is_none())
}

/// The entries, of the innermost folder that holds both files, in which they lie.
fn below_common_folder(one: &Path, other: &Path) -> (PathBuf, PathBuf) {
    let common = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count();
    let entry = |file: &Path| file.iter().take(common + 1).collect();
    (entry(one), entry(other))
}

/// For each node that `counts` and lies on a cycle: a shortest one, unless one that was found already leads through it.
fn cycles(graph: &Graph, counts: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut on_cycles = BTreeSet::new();
    let mut found = Vec::new();
    for start in graph.keys().filter(|node| counts(node)) {
        if on_cycles.contains(start.as_path()) {
            continue;
        }
        if let Some(cycle) = shortest_cycle(graph, start) {
            found.push(written(&cycle));
            on_cycles.extend(cycle.into_iter().map(|(node, _)| node));
        }
    }
    found
}

/// The nodes of a cycle from `start` to `start`, each with the name by which it is imported.
fn shortest_cycle<'a>(graph: &'a Graph, start: &'a Path) -> Option<Vec<(&'a Path, &'a str)>> {
    let mut importer: BTreeMap<&Path, (&Path, &str)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for (imported, name) in graph.get(node).into_iter().flatten() {
            importer.entry(imported).or_insert_with(|| {
                queue.push_back(imported);
                (node, name)
            });
        }
        if importer.contains_key(start) {
            break;
        }
    }
    let mut cycle = Vec::new();
    let mut at = start;
    loop {
        let (from, name) = importer.get(at)?;
        cycle.push((at, *name));
        at = from;
        if at == start {
            cycle.reverse();
            return Some(cycle);
        }
    }
}

/// `a.rs → b.rs (Name) → a.rs (Other)`
fn written(cycle: &[(&Path, &str)]) -> String {
    let first = cycle
        .last()
        .map_or_else(String::new, |(start, _)| start.display().to_string());
    cycle.iter().fold(first, |line, (node, name)| {
        format!("{line} → {} ({name})", node.display())
    })
}

/// A small made-up tree.
#[cfg(test)]
pub(super) fn sources(files: &[(&str, &str)]) -> Sources {
    let own = |(file, text): &(&str, &str)| (PathBuf::from(file), (*text).to_owned());
    files.iter().map(own).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Graph, between_files, between_folders};

    /// A graph from lines of who imports whom by which name.
    fn graph(lines: &[&str]) -> Graph {
        let mut graph = Graph::new();
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            graph
                .entry(PathBuf::from(words[0]))
                .or_default()
                .insert(PathBuf::from(words[1]), words[2].to_owned());
        }
        graph
    }

    #[test]
    fn two_files_that_import_each_other_form_a_cycle() {
        let graph = graph(&["src/a.rs src/b.rs B", "src/b.rs src/a.rs crate::a::A"]);
        assert_eq!(
            between_files(&graph),
            ["src/a.rs → src/b.rs (B) → src/a.rs (crate::a::A)"]
        );
        assert_eq!(between_folders(&graph), [] as [&str; 0]);
    }

    #[test]
    fn a_longer_cycle_is_told_whole_and_once() {
        let graph = graph(&[
            "src/a.rs src/b.rs B",
            "src/a.rs src/d.rs D",
            "src/b.rs src/c.rs C",
            "src/c.rs src/a.rs A",
        ]);
        assert_eq!(
            between_files(&graph),
            ["src/a.rs → src/b.rs (B) → src/c.rs (C) → src/a.rs (A)"]
        );
    }

    #[test]
    fn one_direction_is_no_cycle() {
        let graph = graph(&[
            "src/a.rs src/b.rs B",
            "src/a.rs src/c.rs C",
            "src/b.rs src/c.rs C",
        ]);
        assert_eq!(between_files(&graph), [] as [&str; 0]);
    }

    #[test]
    fn folders_may_form_a_cycle_where_files_form_none() {
        let graph = graph(&[
            "src/link/mod.rs src/rest.rs Rest",
            "src/rest.rs src/link/lost.rs Lost",
        ]);
        assert_eq!(between_files(&graph), [] as [&str; 0]);
        assert_eq!(
            between_folders(&graph),
            ["src/link → src/rest.rs (Rest) → src/link (Lost)"]
        );
    }
}
