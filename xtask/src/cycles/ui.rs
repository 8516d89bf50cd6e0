//! The imports of the UI: what its files name by a relative path, types included. Its tests are left out.

use std::path::{Path, PathBuf};

use super::graph::{Graph, Sources};

/// Who imports whom in the UI.
pub(super) fn imports(sources: &Sources) -> Graph {
    let is_test = |file: &Path| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".test.ts") || file.iter().any(|part| part == "testing")
    };
    let mut graph = Graph::new();
    for (file, text) in sources.iter().filter(|(file, _)| !is_test(file)) {
        for import in relative_imports(text) {
            let path = joined(file.parent().unwrap_or(file), import);
            let candidates = ["", ".ts", "/index.ts"].map(|ending| format!("{}{ending}", path.display()));
            let imported = candidates
                .iter()
                .find_map(|path| sources.get_key_value(Path::new(path)));
            if let Some((imported, _)) = imported.filter(|(imported, _)| *imported != file) {
                graph
                    .entry(file.clone())
                    .or_default()
                    .insert(imported.clone(), import.to_owned());
            }
        }
    }
    graph
}

/// What follows `from`, `import` or `import(` in quotes and begins with a dot.
fn relative_imports(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| {
        let line = line.trim_start();
        !line.starts_with("//") && !line.starts_with('*')
    });
    code.flat_map(|line| {
        line.match_indices(['\'', '"']).filter_map(move |(at, quote)| {
            let before = line.get(..at)?.trim_end().trim_end_matches('(');
            let quoted = line.get(at + 1..)?.split(quote).next()?;
            let imports = before.ends_with("from") || before.ends_with("import");
            (imports && quoted.starts_with('.')).then_some(quoted)
        })
    })
}

/// `folder/relative` without the dots.
fn joined(folder: &Path, relative: &str) -> PathBuf {
    let mut path = folder.to_path_buf();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::graph::{between_files, sources};
    use super::{imports, joined};

    #[test]
    fn a_file_imports_what_it_names_by_a_relative_path() {
        let graph = imports(&sources(&[
            (
                "ui/src/App.svelte",
                "<script lang=\"ts\">\n  import Clock from './parts/Clock.svelte';\n",
            ),
            (
                "ui/src/parts/Clock.svelte",
                "  import {\n    now,\n  } from '../lib/now.svelte';\n",
            ),
            (
                "ui/src/lib/now.svelte.ts",
                "import type { Clock } from \"../parts/Clock.svelte\";\n",
            ),
            ("ui/src/lib/now.test.ts", "import App from '../App.svelte';\n"),
            (
                "ui/src/main.ts",
                "// import './lib/none';\nconst app = await import('./App.svelte');\n",
            ),
        ]));
        assert_eq!(
            between_files(&graph),
            [
                "ui/src/lib/now.svelte.ts → ui/src/parts/Clock.svelte (../parts/Clock.svelte) → \
                 ui/src/lib/now.svelte.ts (../lib/now.svelte)"
            ]
        );
        assert_eq!(
            graph[&PathBuf::from("ui/src/main.ts")].keys().collect::<Vec<_>>(),
            [&PathBuf::from("ui/src/App.svelte")]
        );
        assert_eq!(joined("a/b".as_ref(), "../c/./d"), PathBuf::from("a/c/d"));
    }
}
