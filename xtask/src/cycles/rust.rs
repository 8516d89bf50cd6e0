//! The imports of Rust files.
//!
//! A file imports another when its code names an item that the other defines:
//!
//! - Every path is followed to the file that defines its item, through re-exports. In `lnbits`, `crate::Text` leads from
//!   any file to `text.rs` and not to `lib.rs`, which only re-exports it.
//! - `mod` lines and re-exports (`pub use`, `pub(crate) use`) import nothing. Code that names a re-exported item does.
//! - A path that ends on a module imports nothing. `use a::*` imports the file that holds `a`.
//! - What stands under `#[cfg(test)]` is left out, and the files that it declares with it.
//! - Calls of methods are not followed: `self.go()` names no file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

use super::graph::{Graph, Sources};

/// How many re-exports may lead to an item.
const MOST_HOPS: usize = 16;

/// Who imports whom in a package's `src`.
///
/// # Errors
/// When a file is no Rust.
pub(super) fn imports(sources: &Sources) -> anyhow::Result<Graph> {
    let mut graph = Graph::new();
    for root in sources.keys().filter(|file| is_root(file)) {
        let mut modules = Modules {
            sources,
            all: Vec::new(),
        };
        modules.read_file(root, None)?;
        for (from, to, name) in modules.imports() {
            graph.entry(from).or_default().insert(to, name);
        }
    }
    Ok(graph)
}

/// `src/lib.rs`, `src/main.rs` or `src/bin/*.rs`.
fn is_root(file: &Path) -> bool {
    let folder = file.parent().unwrap_or(file);
    let is_program = folder.ends_with("src/bin");
    is_program || folder.ends_with("src") && (file.ends_with("lib.rs") || file.ends_with("main.rs"))
}

/// A Rust module, in a file of its own or inside one.
#[derive(Debug, Default)]
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// What it defines; true for what a path can go through.
    items: BTreeMap<String, bool>,
    uses: Vec<Use>,
    /// Paths in its code, single names included.
    paths: BTreeSet<Vec<String>>,
}

/// One name of a `use`.
#[derive(Debug)]
struct Use {
    path: Vec<String>,
    /// The name it has from here on; `None` for `*`.
    name: Option<String>,
    is_reexport: bool,
}

/// The modules of one library or program; the first is its root.
struct Modules<'a> {
    sources: &'a Sources,
    all: Vec<Module>,
}

/// Where a path leads.
#[derive(Clone, Copy)]
enum Target {
    /// To something that this module defines.
    Item(usize),
    Module(usize),
}

impl Modules<'_> {
    fn read_file(&mut self, file: &Path, parent: Option<usize>) -> anyhow::Result<usize> {
        let text = self.sources.get(file).map_or("", String::as_str);
        let tokens: TokenStream = text
            .parse()
            .map_err(|error| anyhow::anyhow!("{} is no Rust: {error}", file.display()))?;
        let folder = file.parent().unwrap_or(file);
        let folder = if is_root(file) || file.ends_with("mod.rs") {
            folder.to_path_buf()
        } else {
            file.with_extension("")
        };
        self.read_module(tokens, file, &folder, parent)
    }

    /// Reads a module whose children's files lie in `folder`.
    fn read_module(
        &mut self,
        tokens: TokenStream,
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
    ) -> anyhow::Result<usize> {
        let id = self.all.len();
        self.all.push(Module {
            file: file.to_path_buf(),
            parent,
            ..Module::default()
        });
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        while !rest.is_empty() {
            let (item, after) = rest.split_at(item_length(rest));
            rest = after;
            if is_for_tests(item) {
                continue;
            }
            let words = &item[attributes_length(item)..];
            let (keyword, after) = keyword(words);
            let name = after.iter().find_map(ident);
            match (keyword, name) {
                (Some("mod"), Some(name)) => {
                    let body = after.iter().find_map(|token| group(token, Delimiter::Brace));
                    let child = match body {
                        Some(body) => Some(self.read_module(body, file, &folder.join(&name), Some(id))?),
                        None => match self.file_of(folder, &name) {
                            Some(file) => Some(self.read_file(&file, Some(id))?),
                            None => None,
                        },
                    };
                    if let Some(child) = child {
                        self.all[id].children.insert(name, child);
                    }
                }
                (Some("use"), _) => {
                    let is_reexport = words.first().and_then(ident).as_deref() == Some("pub");
                    read_use(after, &mut Vec::new(), is_reexport, &mut self.all[id].uses);
                }
                (Some(keyword), Some(name)) => {
                    let is_type = matches!(keyword, "struct" | "enum" | "union" | "trait" | "type");
                    if keyword != "impl" {
                        self.all[id].items.insert(name, is_type);
                    }
                    read_paths(item, &mut self.all[id]);
                }
                (Some(_) | None, _) => read_paths(item, &mut self.all[id]),
            }
        }
        Ok(id)
    }

    fn file_of(&self, folder: &Path, module: &str) -> Option<PathBuf> {
        let files = [
            folder.join(format!("{module}.rs")),
            folder.join(module).join("mod.rs"),
        ];
        files.into_iter().find(|file| self.sources.contains_key(file))
    }

    /// Every import: from which file, of which file, by which name.
    fn imports(&self) -> Vec<(PathBuf, PathBuf, String)> {
        let mut imports = Vec::new();
        for (id, module) in self.all.iter().enumerate() {
            let mut import = |target: Option<Target>, name: &str, is_glob: bool| {
                let to = match target {
                    Some(Target::Item(to)) => to,
                    Some(Target::Module(to)) if is_glob => to,
                    Some(Target::Module(_)) | None => return,
                };
                let to = &self.all[to].file;
                if *to != module.file {
                    imports.push((module.file.clone(), to.clone(), name.to_owned()));
                }
            };
            for each in module.uses.iter().filter(|each| !each.is_reexport) {
                let name = each.name.as_ref().and(each.path.last());
                let target = self.follow(id, &each.path, MOST_HOPS);
                import(target, name.map_or("*", String::as_str), each.name.is_none());
            }
            for path in &module.paths {
                let target = match path.as_slice() {
                    // What a plain name names stands in this module, but for a re-export's.
                    [name] => module
                        .uses
                        .iter()
                        .find(|each| each.is_reexport && each.name.as_ref() == Some(name))
                        .and_then(|each| self.follow(id, &each.path, MOST_HOPS)),
                    path => self.follow(id, path, MOST_HOPS),
                };
                import(target, &path.join("::"), false);
            }
        }
        imports
    }

    /// Where a path in the code of module `from` leads; `None` when it leaves the package.
    fn follow(&self, from: usize, path: &[String], hops: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.find(0, rest, hops),
            "self" => self.find(from, rest, hops),
            "super" => {
                let parent = self.all[from].parent?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.follow(parent, rest, hops),
                    Some(_) | None => self.find(parent, rest, hops),
                }
            }
            _ => self.find_known(from, path, hops),
        }
    }

    /// Where a path leads that begins in module `at`. A name that is not found there was made by a macro there.
    fn find(&self, at: usize, path: &[String], hops: usize) -> Option<Target> {
        if path.is_empty() {
            return Some(Target::Module(at));
        }
        self.find_known(at, path, hops).or(Some(Target::Item(at)))
    }

    fn find_known(&self, at: usize, path: &[String], hops: usize) -> Option<Target> {
        let hops = hops.checked_sub(1)?;
        let module = &self.all[at];
        let (name, rest) = path.split_first()?;
        if let Some(child) = module.children.get(name).filter(|_| !rest.is_empty()) {
            return self.find(*child, rest, hops);
        }
        if module
            .items
            .get(name)
            .is_some_and(|is_type| *is_type || rest.is_empty())
        {
            return Some(Target::Item(at));
        }
        if let Some(used) = module.uses.iter().find(|each| each.name.as_ref() == Some(name)) {
            return self.follow(at, &[&used.path, rest].concat(), hops);
        }
        if let Some(child) = module.children.get(name) {
            return Some(Target::Module(*child));
        }
        let globs = module.uses.iter().filter(|each| each.name.is_none());
        let mut opened = globs.filter_map(|each| match self.follow(at, &each.path, hops)? {
            Target::Module(opened) => self.find_known(opened, path, hops),
            Target::Item(_) => None,
        });
        opened.next()
    }
}

fn ident(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    }
}

fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

fn group(token: &TokenTree, delimiter: Delimiter) -> Option<TokenStream> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group.stream()),
        TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    }
}

/// How many tokens the attributes at the beginning have.
fn attributes_length(tokens: &[TokenTree]) -> usize {
    let mut at = 0;
    while is_punct(tokens.get(at), '#') {
        at += if is_punct(tokens.get(at + 1), '!') { 3 } else { 2 };
    }
    at.min(tokens.len())
}

/// How many tokens the first item has, with its attributes: up to its braces, or up to its semicolon.
fn item_length(tokens: &[TokenTree]) -> usize {
    let attributes = attributes_length(tokens);
    let words = &tokens[attributes..];
    let needs_semicolon = matches!(keyword(words).0, Some("use" | "const" | "static" | "type"));
    let ends = |token: &TokenTree| {
        is_punct(Some(token), ';') || !needs_semicolon && group(token, Delimiter::Brace).is_some()
    };
    attributes + words.iter().position(ends).map_or(words.len(), |end| end + 1)
}

/// What kind of item this is, and what follows that word.
fn keyword(words: &[TokenTree]) -> (Option<&'static str>, &[TokenTree]) {
    const KEYWORDS: [&str; 12] = [
        "mod",
        "use",
        "fn",
        "struct",
        "enum",
        "union",
        "trait",
        "type",
        "const",
        "static",
        "impl",
        "macro_rules",
    ];
    let mut words = words;
    let mut found = None;
    // `pub(crate) const unsafe fn`: the last word before the name counts.
    while let Some((word, rest)) = words.split_first() {
        let Some(word) = ident(word) else {
            if found.is_some() || group(&words[0], Delimiter::Parenthesis).is_none() {
                break;
            }
            words = rest;
            continue;
        };
        match KEYWORDS.into_iter().find(|keyword| *keyword == word) {
            Some(keyword) => found = Some(keyword),
            None if matches!(word.as_str(), "pub" | "unsafe" | "async" | "extern" | "mut") => {}
            None => break,
        }
        words = rest;
    }
    (found, words)
}

/// True for `#[cfg(test)]` and `#[cfg(all(test, …))]`.
fn is_for_tests(item: &[TokenTree]) -> bool {
    item[..attributes_length(item)].iter().any(|token| {
        let attribute = group(token, Delimiter::Bracket).map(|attribute| attribute.to_string());
        let attribute = attribute.unwrap_or_default().replace(' ', "");
        attribute == "cfg(test)" || attribute.starts_with("cfg(all(test,")
    })
}

/// Takes a `use` apart, which may have braces and ends with a semicolon.
fn read_use(tokens: &[TokenTree], prefix: &mut Vec<String>, is_reexport: bool, uses: &mut Vec<Use>) {
    let is_comma = |token: &TokenTree| is_punct(Some(token), ',') || is_punct(Some(token), ';');
    for part in tokens.split(is_comma).filter(|part| !part.is_empty()) {
        let length = prefix.len();
        let mut name = None;
        let mut is_whole = true;
        let mut words = part.iter();
        while let Some(word) = words.next() {
            if let Some(inner) = group(word, Delimiter::Brace) {
                let inner: Vec<_> = inner.into_iter().collect();
                read_use(&inner, prefix, is_reexport, uses);
                is_whole = false;
            } else if is_punct(Some(word), '*') {
                name = None;
            } else if let Some(word) = ident(word) {
                match word.as_str() {
                    "as" => name = words.next().and_then(ident),
                    // `a::{self}` is `a`.
                    "self" if !prefix.is_empty() => name = prefix.last().cloned(),
                    _ => {
                        name = Some(word.clone());
                        prefix.push(word);
                    }
                }
            }
        }
        if is_whole {
            uses.push(Use {
                path: prefix.clone(),
                name,
                is_reexport,
            });
        }
        prefix.truncate(length);
    }
}

/// Collects the paths in code. A `use` within a function counts as one of its module.
fn read_paths(tokens: &[TokenTree], module: &mut Module) {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let rest = &tokens[at..];
        if is_punct(Some(token), '#') && is_for_tests(rest) {
            at += item_length(rest);
            continue;
        }
        if let TokenTree::Group(group) = token {
            let inner: Vec<_> = group.stream().into_iter().collect();
            read_paths(&inner, module);
        }
        let Some(word) = ident(token) else {
            at += 1;
            continue;
        };
        if word == "use" {
            let length = item_length(rest);
            read_use(&rest[1..length], &mut Vec::new(), false, &mut module.uses);
            at += length;
            continue;
        }
        let mut path = vec![word];
        let mut after = at + 1;
        while is_path_separator(tokens, after) {
            let Some(word) = tokens.get(after + 2).and_then(ident) else {
                break;
            };
            path.push(word);
            after += 3;
        }
        if !is_within(tokens, at) {
            module.paths.insert(path);
        }
        at = after;
    }
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    let is_joint =
        matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.spacing() == Spacing::Joint);
    is_joint && is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

/// True for what is no path's beginning: a field or a method, what follows `Vec::<T>::`, a lifetime.
fn is_within(tokens: &[TokenTree], at: usize) -> bool {
    let before = |by: usize| at.checked_sub(by).and_then(|at| tokens.get(at));
    let is_field = is_punct(before(1), '.') && !is_punct(before(2), '.');
    let follows_separator = at >= 2 && is_path_separator(tokens, at - 2);
    is_field || follows_separator || is_punct(before(1), '\'')
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::graph::{Graph, between_files, sources};

    fn graph(files: &[(&str, &str)]) -> Graph {
        super::imports(&sources(files)).unwrap()
    }

    /// Who imports whom, in lines.
    fn lines(files: &[(&str, &str)]) -> Vec<String> {
        let lines = graph(files).into_iter().flat_map(|(from, imported)| {
            let line =
                move |(to, name): (PathBuf, String)| format!("{} {} {name}", from.display(), to.display());
            imported.into_iter().map(line)
        });
        lines.collect()
    }

    #[test]
    fn declaring_and_re_exporting_a_child_is_no_import_but_naming_it_is() {
        let child = ("src/a.rs", "use crate::Shared; pub struct A(Shared);");
        let shared = "mod a; pub use a::A; pub struct Shared;";
        assert_eq!(
            lines(&[("src/lib.rs", shared), child]),
            ["src/a.rs src/lib.rs Shared"]
        );
        for use_of_it in ["fn f(_: A) {}", "fn f() { a::go() }", "call!(A);"] {
            let graph = graph(&[("src/lib.rs", &format!("{shared} {use_of_it}")), child]);
            assert_eq!(between_files(&graph).len(), 1, "{use_of_it}");
        }
    }

    #[test]
    fn a_re_exported_item_is_imported_from_where_it_is_defined() {
        let files = [
            ("src/lib.rs", "mod a; mod b; pub use a::{A as First, *};"),
            (
                "src/a/mod.rs",
                "mod deep; pub use self::deep::A; pub fn helper() {}",
            ),
            ("src/a/deep.rs", "pub struct A;"),
            ("src/b.rs", "use crate::First; fn b() { crate::helper() }"),
        ];
        assert_eq!(
            lines(&files),
            [
                "src/b.rs src/a/deep.rs First",
                "src/b.rs src/a/mod.rs crate::helper"
            ]
        );
    }

    #[test]
    fn a_module_that_is_brought_into_scope_is_imported_by_what_is_named_through_it() {
        let files = [
            ("src/lib.rs", "mod a; mod b; mod c;"),
            ("src/a.rs", "pub fn go() {}"),
            ("src/b.rs", "use crate::{a, c}; fn a() { a::go() }"),
            ("src/c.rs", "pub fn go() {}"),
        ];
        assert_eq!(lines(&files), ["src/b.rs src/a.rs a::go"]);
    }

    #[test]
    fn the_parents_parent_is_found_and_so_is_a_name_that_a_macro_makes() {
        let files = [
            ("src/main.rs", "mod a; mod ids;"),
            ("src/a.rs", "mod b;"),
            ("src/a/b.rs", "use super::super::ids::Id;"),
            ("src/ids.rs", "id!(Id);"),
        ];
        assert_eq!(lines(&files), ["src/a/b.rs src/ids.rs Id"]);
    }

    #[test]
    fn what_looks_like_a_path_and_is_none_imports_nothing() {
        let files = [
            ("src/lib.rs", "mod a; mod b; pub use b::go;"),
            (
                "src/a.rs",
                "fn f<'b>(b: &'b B) { b.go(); \"crate::b::go\"; /* crate::b::go */ std::b::go() }",
            ),
            ("src/b.rs", "pub fn go() {}"),
        ];
        assert_eq!(lines(&files), [] as [&str; 0]);
    }

    #[test]
    fn tests_may_import_what_they_like() {
        let files = [
            ("src/lib.rs", "mod a; mod b;"),
            (
                "src/a.rs",
                "pub struct A; impl A { #[cfg(test)] fn b() -> crate::b::B {} } \
                 #[cfg(test)] mod inside { use crate::b::B; } #[cfg(test)] mod tests; #[cfg(all(test, unix))] use crate::b::B;",
            ),
            ("src/a/tests.rs", "use crate::b::B;"),
            ("src/b.rs", "use crate::a::A; pub struct B;"),
        ];
        assert_eq!(lines(&files), ["src/b.rs src/a.rs A"]);
    }
}
