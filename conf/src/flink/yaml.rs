//! A YAML document as a tree, with the line of every node and limits on what a hostile one costs.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::scalar::Scalar;

/// As snakeyaml-engine, which Flink uses, has it.
const MAX_DEPTH: usize = 50;
/// Nodes after aliases are expanded; Flink knows some 900 keys.
const MAX_NODES: usize = 100_000;

/// A place in the text and what is wrong there. Never holds the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
}

impl YamlError {
    pub(super) fn at(marker: &Marker, what: impl Into<String>) -> Self {
        Self { line: marker.line(), column: marker.col() + 1, what: what.into() }
    }
}

/// A node of the document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) start: Marker,
    /// How many nodes there are in it, itself included.
    weight: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// The only document of the text; `None` if it holds none.
pub(super) fn parse(text: &str) -> Result<Option<Node>, YamlError> {
    let options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        emit_comments: false,
    };
    let mut composer = Composer {
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
    };
    composer.document()
}

struct Composer<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Composer<'a> {
    fn document(&mut self) -> Result<Option<Node>, YamlError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(YamlError::at(&span.start, "a second document starts here"));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span, 1)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(YamlError::at(error.marker(), error.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, YamlError> {
        let start = span.start;
        if depth > MAX_DEPTH {
            return Err(YamlError::at(&start, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let before = self.nodes;
        self.count(1, &start)?;
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id, start),
            Event::Scalar(text, style, anchor, tag) => {
                let scalar =
                    scalar(&text, style, tag.as_deref()).map_err(|what| YamlError::at(&start, what))?;
                (Value::Scalar(scalar), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "seq", &start)?;
                (Value::List(self.list(depth)?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "map", &start)?;
                (Value::Map(self.map(depth)?), anchor)
            }
            _ => return Err(YamlError::at(&start, "a value is missing here")),
        };
        let node = Node { value, start, weight: self.nodes - before };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, YamlError> {
        let mut entries = Vec::new();
        let mut lines = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key = self.node(event, span, depth + 1)?;
            if let Value::Scalar(scalar) = &key.value
                && let Some(first) = lines.insert(scalar.clone(), key.start.line())
            {
                return Err(YamlError::at(&key.start, format!("the same key as in line {first}")));
            }
            let (event, span) = self.next()?;
            entries.push((key, self.node(event, span, depth + 1)?));
        }
    }

    /// The anchored node again, paid for in full: that is what disarms a bomb of aliases.
    fn alias(&mut self, id: usize, start: Marker) -> Result<Node, YamlError> {
        let Some(weight) = self.anchors.get(&id).map(|node| node.weight) else {
            return Err(YamlError::at(&start, "an alias within what it stands for"));
        };
        self.count(weight, &start)?;
        match self.anchors.get(&id) {
            Some(node) => Ok(Node { start, ..node.clone() }),
            None => Err(YamlError::at(&start, "an alias without its anchor")),
        }
    }

    fn count(&mut self, nodes: usize, at: &Marker) -> Result<(), YamlError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(YamlError::at(at, format!("more than {MAX_NODES} values, aliases included")));
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, String> {
    match tag {
        None if style == ScalarStyle::Plain => Ok(Scalar::resolve(text)),
        None => Ok(Scalar::Text(text.into())),
        Some(tag) if tag.parts() == ("", "!") || tag.parts() == ("!", "") => Ok(Scalar::Text(text.into())),
        Some(tag) => match tag.core_suffix() {
            Some("str") => Ok(Scalar::Text(text.into())),
            Some(kind @ ("int" | "float" | "bool" | "null")) => {
                Scalar::tagged(kind, text).ok_or_else(|| format!("this is no {kind}, as its tag says it is"))
            }
            _ => Err("Flink does not know this tag".into()),
        },
    }
}

fn check_tag(tag: Option<&Tag>, expected: &str, start: &Marker) -> Result<(), YamlError> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(expected) => {
            Err(YamlError::at(start, "Flink does not know this tag"))
        }
        _ => Ok(()),
    }
}
