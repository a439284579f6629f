//! One file of Hadoop's as a list of properties and includes. Read by roxmltree, which hdfs-native uses
//! too: it keeps places, builds no recursion, and resolves no external entity.

use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

use super::{HadoopConfError, Property};

/// Elements, texts and comments of one file; `yarn-default.xml`, the largest of Hadoop's own, has
/// some 10,000.
const MAX_NODES: u32 = 100_000;
/// Nested `<configuration>` and `<fallback>` elements; nobody nests any.
const MAX_DEPTH: usize = 20;

/// What a file consists of.
#[derive(Debug)]
pub(super) enum Item {
    Property(Property),
    Include(Include),
}

/// An `<xi:include>`.
#[derive(Debug)]
pub(super) struct Include {
    pub(super) href: String,
    pub(super) line: usize,
    /// What stands in for a file that is not there.
    pub(super) fallback: Option<Vec<Item>>,
}

/// Parses the text of a file.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<Item>, HadoopConfError> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, entity_resolver: None };
    let file = File { path, lines: Lines::of(text) };
    let document = Document::parse_with_options(text, options).map_err(|e| file.refuse(&e))?;
    let root = document.root_element();
    if root.tag_name().name() != "configuration" {
        return Err(file.syntax(file.line(root), "the top element is not <configuration>"));
    }
    file.items(root, 0)
}

/// The file being parsed.
struct File<'a> {
    path: &'a Path,
    lines: Lines,
}

impl File<'_> {
    /// Properties and includes, told by local name as Hadoop does it. Other elements are nothing to it.
    fn items(&self, parent: Node<'_, '_>, depth: usize) -> Result<Vec<Item>, HadoopConfError> {
        if depth > MAX_DEPTH {
            let what = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(self.syntax(self.line(parent), what));
        }
        let mut items = Vec::new();
        for node in parent.children().filter(Node::is_element) {
            match node.tag_name().name() {
                "property" => items.extend(self.property(node).map(Item::Property)),
                "include" => items.push(Item::Include(self.include(node, depth)?)),
                "configuration" => items.extend(self.items(node, depth + 1)?),
                _ => {}
            }
        }
        Ok(items)
    }

    /// Attributes and elements count alike. A property without a name or a value, or with an empty
    /// `<value/>`, is none.
    fn property(&self, node: Node<'_, '_>) -> Option<Property> {
        let attribute = |name: &str| node.attribute(name).map(str::to_string);
        let (mut name, mut value) = (attribute("name"), attribute("value"));
        let mut is_final = node.attribute("final") == Some("true");
        for part in node.children().filter(Node::is_element) {
            match part.tag_name().name() {
                "name" => name = Some(text_of(part).trim().to_string()),
                "value" => value = Some(text_of(part)).filter(|text| !text.is_empty()),
                "final" => is_final = text_of(part) == "true",
                _ => {}
            }
        }
        let name = name.filter(|name| !name.is_empty())?;
        Some(Property { name, value: value?, is_final, file: self.path.into(), line: self.line(node) })
    }

    fn include(&self, node: Node<'_, '_>, depth: usize) -> Result<Include, HadoopConfError> {
        let line = self.line(node);
        let href = node.attribute("href").ok_or_else(|| self.syntax(line, "an include without href"))?;
        let fallback = node.children().find(|child| child.tag_name().name() == "fallback");
        let fallback = fallback.map(|node| self.items(node, depth + 1)).transpose()?;
        Ok(Include { href: href.into(), line, fallback })
    }

    fn line(&self, node: Node<'_, '_>) -> usize {
        self.lines.at(node.range().start)
    }

    fn syntax(&self, line: usize, what: impl Into<String>) -> HadoopConfError {
        HadoopConfError::Syntax { path: self.path.into(), line, what: what.into() }
    }

    /// The parser's words without the place, which stands before them. They may hold a name, never a
    /// value.
    fn refuse(&self, error: &roxmltree::Error) -> HadoopConfError {
        let what = match error {
            roxmltree::Error::DtdDetected => "a document type (DOCTYPE) is not accepted here".into(),
            roxmltree::Error::NodesLimitReached => format!("more than {MAX_NODES} elements and texts"),
            other => {
                let text = other.to_string();
                let place = format!(" at {}", other.pos());
                let text = text.strip_suffix(&place).unwrap_or(&text);
                text.chars().map(|c| if c.is_control() { '?' } else { c }).take(200).collect()
            }
        };
        self.syntax(error.pos().row.max(1) as usize, what)
    }
}

/// The text of an element, CDATA included and comments left out.
fn text_of(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

/// Where each line but the first begins, in bytes.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect())
    }

    /// The line of this byte, from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset) + 1
    }
}
