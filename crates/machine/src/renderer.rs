//! How WebKit is to draw on this machine.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

/// Where the graphics cards' render nodes lie.
const NODES: &str = "/dev/dri";
/// There while NVIDIA's own driver is loaded.
const NVIDIA: &str = "/proc/driver/nvidia/version";
/// Whoever sets one of these has chosen how WebKit draws.
const VARIABLES: [&str; 3] = [PLAIN.0, SHARED_MEMORY.0, "WEBKIT_DISABLE_COMPOSITING_MODE"];
const PLAIN: (&str, &str) = ("WEBKIT_DISABLE_DMABUF_RENDERER", "1");
const SHARED_MEMORY: (&str, &str) = ("WEBKIT_DMABUF_RENDERER_FORCE_SHM", "1");

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Each render node, and why it cannot be opened.
    pub nodes: Vec<(PathBuf, Option<String>)>,
    /// NVIDIA's own driver is loaded.
    pub nvidia: bool,
    /// The variable by which somebody has chosen how WebKit draws.
    pub chosen: Option<&'static str>,
}

/// How WebKit draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renderer {
    /// As somebody has chosen by this variable.
    Chosen(&'static str),
    /// As it does by itself: the graphics card draws, and its buffers are shared.
    Shared,
    /// The graphics card draws, and its pictures are copied: NVIDIA's own driver refuses the buffers that WebKit would share, and
    /// the window stays blank (WebKit's bug 262607). Without the renderer newer versions end as soon as a page needs a layer.
    Copied,
    /// The processor draws. Without a graphics card the renderer costs more than it gives: a frame took 47 ms to the glass with it
    /// and 12 ms without, and memory went from 275 to 202 MB.
    Plain,
}

/// Looks at this machine. Nodes are opened, not only listed: one that this user may not open draws nothing.
#[must_use]
pub fn find() -> Found {
    let mut nodes: Vec<_> = fs::read_dir(NODES)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|node| node.file_name().to_string_lossy().starts_with("renderD"))
        .map(|node| (node.path(), refusal(&node.path())))
        .collect();
    nodes.sort();
    Found {
        nodes,
        nvidia: Path::new(NVIDIA).exists(),
        chosen: VARIABLES
            .into_iter()
            .find(|variable| std::env::var_os(variable).is_some()),
    }
}

fn refusal(node: &Path) -> Option<String> {
    let opened = OpenOptions::new().read(true).write(true).open(node);
    opened.err().map(|error| error.to_string())
}

impl Found {
    /// How WebKit is to draw here.
    #[must_use]
    pub fn renderer(&self) -> Renderer {
        let has_node = self.nodes.iter().any(|(_, refused)| refused.is_none());
        match (self.chosen, has_node, self.nvidia) {
            (Some(variable), ..) => Renderer::Chosen(variable),
            (None, false, _) => Renderer::Plain,
            (None, true, true) => Renderer::Copied,
            (None, true, false) => Renderer::Shared,
        }
    }
}

impl Renderer {
    /// The variable, and its value, that makes WebKit draw so.
    #[must_use]
    pub const fn variable(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Chosen(_) | Self::Shared => None,
            Self::Copied => Some(SHARED_MEMORY),
            Self::Plain => Some(PLAIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn found(nodes: &[Option<&str>], nvidia: bool, chosen: Option<&'static str>) -> Found {
        let nodes = nodes.iter().enumerate().map(|(nth, refused)| {
            let node = PathBuf::from(format!("/dev/dri/renderD{}", 128 + nth));
            (node, refused.map(str::to_owned))
        });
        Found {
            nodes: nodes.collect(),
            nvidia,
            chosen,
        }
    }

    #[test]
    fn webkit_draws_as_the_graphics_card_allows() {
        const REFUSED: Option<&str> = Some("Permission denied");
        let cases = [
            (found(&[], false, None), Renderer::Plain),
            (found(&[None], false, None), Renderer::Shared),
            (found(&[REFUSED], false, None), Renderer::Plain),
            (found(&[REFUSED, None], false, None), Renderer::Shared),
            (found(&[None], true, None), Renderer::Copied),
            (found(&[None, None], true, None), Renderer::Copied),
            // Its driver is loaded, and there is nothing to draw with.
            (found(&[], true, None), Renderer::Plain),
            (found(&[REFUSED], true, None), Renderer::Plain),
        ];
        for (found, renderer) in cases {
            assert_eq!(found.renderer(), renderer, "{found:?}");
        }
    }

    #[test]
    fn webkit_is_told_by_its_own_variables() {
        for (renderer, variable) in [
            (Renderer::Plain, Some(("WEBKIT_DISABLE_DMABUF_RENDERER", "1"))),
            (Renderer::Copied, Some(("WEBKIT_DMABUF_RENDERER_FORCE_SHM", "1"))),
            (Renderer::Shared, None),
        ] {
            assert_eq!(renderer.variable(), variable);
        }
    }

    #[test]
    fn what_somebody_has_chosen_stays() {
        for variable in VARIABLES {
            for nodes in [&[][..], &[None]] {
                let renderer = found(nodes, true, Some(variable)).renderer();
                assert_eq!(renderer, Renderer::Chosen(variable));
                assert_eq!(renderer.variable(), None);
            }
        }
    }

    #[test]
    fn a_node_is_opened_for_reading_and_writing() {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("renderD128");
        fs::write(&node, "").unwrap();
        assert_eq!(refusal(&node), None);
        fs::set_permissions(&node, fs::Permissions::from_mode(0o000)).unwrap();
        // Root may open whatever mode it has.
        let is_root =
            fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        assert_eq!(refusal(&node).is_none(), is_root);
        // To be there is not enough, for root either: a folder is opened by nobody.
        for node in [folder.path().to_owned(), folder.path().join("renderD129")] {
            assert!(refusal(&node).is_some(), "{}", node.display());
        }
    }
}
