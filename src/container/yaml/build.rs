//! From the parser's events to the tree. Takes text; gives its first document. Iterative, so depth costs no stack.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span as Mark, StructureStyle, Tag};

use super::{
    Diagnostic, Diagnostics, Key, MAX_DEPTH, MAX_NODES, Node, Place, Span, Value, end_of, quoted, scalar, syntax,
};

/// What ends the reading of a file.
type Fatal = Box<Diagnostic>;

/// The first document's root, `None` if there is no document. `skipped` bytes of the file lie before `text`.
pub(super) fn tree(
    file: &Arc<str>,
    text: &str,
    skipped: usize,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Node>, Fatal> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.disallow_directives = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;

    let mut builder =
        Builder { file, text, skipped, diagnostics, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, mark)) => {
                if let Progress::Finished = builder.take(event, mark)? {
                    break;
                }
            }
            Err(error) => return Err(builder.syntax_error(&error)),
        }
    }
    Ok(builder.root)
}

enum Progress {
    More,
    Finished,
}

struct Builder<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    skipped: usize,
    diagnostics: &'a mut Diagnostics,
    /// The lists and mappings that are not closed yet, outermost first.
    open: Vec<Open>,
    /// Closed anchored nodes by the parser's id, with the number of nodes in each.
    anchors: HashMap<usize, (Node, usize)>,
    /// Nodes made so far, copies for anchors and aliases included.
    nodes: usize,
    root: Option<Node>,
}

/// A list or mapping that is not closed yet.
struct Open {
    span: Span,
    style: StructureStyle,
    anchor: usize,
    /// Where its last key or value ends. A block has no closing bracket: it ends there, not where the parser noticed.
    end: u32,
    /// How many nodes there were before it.
    nodes_before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, merged: Vec<(Key, Node)>, next: Next },
}

/// What a mapping waits for.
enum Next {
    Key,
    ValueOf(Key),
    /// The value of a merge key `<<`.
    Merge,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, mark: Mark) -> Result<Progress, Fatal> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                let problem = self.error("second-document", "a second document starts here", self.span(mark));
                self.diagnostics.push(*help(problem, "a file holds one document: move the rest to a file of its own"));
                return Ok(Progress::Finished);
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), mark)?,
            Event::SequenceStart(style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), mark)?;
                self.begin(Content::List(Vec::new()), style, anchor, mark)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), mark)?;
                let content = Content::Map { entries: Vec::new(), merged: Vec::new(), next: Next::Key };
                self.begin(content, style, anchor, mark)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(mark)?,
            Event::Alias(anchor) => self.alias(anchor, mark)?,
            _ => {}
        }
        Ok(Progress::More)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mark: Mark,
    ) -> Result<(), Fatal> {
        let span = self.span(mark);
        let value = match tag {
            // `!` alone also says "text": YAML 1.2 section 6.9.1.
            Some(tag) if tag.is_yaml_core_schema_tag("str") || tag.parts() == ("", "!") => Value::Text(text.into()),
            Some(_) => return self.refuse_tag(tag, mark),
            // The parser reports a value that is not there as `~` without extent.
            None if style == ScalarStyle::Plain && span.start == span.end => Value::Null,
            None if style == ScalarStyle::Plain => scalar::resolve(text),
            None => Value::Text(text.into()),
        };
        if let Some(Open { content: Content::Map { next: next @ Next::Key, .. }, end, .. }) = self.open.last_mut() {
            if value == Value::Null {
                return Err(self.error("unsupported-key", "a key must be a name", span));
            }
            *end = span.end;
            let merge = style == ScalarStyle::Plain && text == "<<";
            *next = if merge { Next::Merge } else { Next::ValueOf(Key { name: text.into(), span }) };
            return Ok(());
        }
        self.count(1, span)?;
        self.finish(Node { span, value }, anchor, 1, span.end)
    }

    fn begin(&mut self, content: Content, style: StructureStyle, anchor: usize, mark: Mark) -> Result<(), Fatal> {
        let span = self.span(mark);
        if let Some(Open { content: Content::Map { next: Next::Key, .. }, .. }) = self.open.last() {
            let problem =
                self.error("unsupported-key", "a key must be a name, and here a list or mapping is one", span);
            return Err(help(problem, "text that begins with [ or { must be in quotes"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error("too-deep", format!("lists and mappings lie more than {MAX_DEPTH} deep"), span));
        }
        let is_list = matches!(content, Content::List(_));
        let span = if is_list && style == StructureStyle::Block { self.with_first_dash(span) } else { span };
        let nodes_before = self.nodes;
        self.count(1, span)?;
        self.open.push(Open { span, style, anchor, end: span.end, nodes_before, content });
        Ok(())
    }

    /// The parser lets a list that stands no deeper than its key begin behind its first dash.
    fn with_first_dash(&self, span: Span) -> Span {
        let is_value = matches!(self.open.last(), Some(Open { content: Content::Map { .. }, .. }));
        let before = (span.start as usize).checked_sub(self.skipped).and_then(|start| self.text.get(..start));
        let spaces = before.map_or(0, |before| before.len() - before.trim_end_matches([' ', '\t']).len());
        let has_dash = before.is_some_and(|before| before.trim_end_matches([' ', '\t']).ends_with('-'));
        let back = number(spaces + 1);
        match (is_value && has_dash, span.start.checked_sub(back), span.column.checked_sub(back)) {
            (true, Some(start), Some(column)) => Span { start, column, ..span },
            _ => span,
        }
    }

    fn close(&mut self, mark: Mark) -> Result<(), Fatal> {
        let Some(Open { mut span, style, anchor, end, nodes_before, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, merged, .. } => Value::Map(self.unique(entries, merged)),
        };
        span.end = match style {
            StructureStyle::Flow => self.span(mark).end,
            StructureStyle::Block => end,
        };
        span.length = self.length(span.start, span.end);
        self.finish(Node { span, value }, anchor, self.nodes - nodes_before, span.end)
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Fatal> {
        let span = self.span(mark);
        if let Some(Open { content: Content::Map { next: Next::Key, .. }, .. }) = self.open.last() {
            return Err(self.error("unsupported-key", "a key must be a name, and here an alias is one", span));
        }
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(self.error("recursive-alias", "this alias lies within what it stands for", span));
        };
        let (node, size) = (node.clone(), *size);
        self.count(size, span)?;
        self.finish(node, 0, size, span.end)
    }

    /// Puts a finished node where it belongs, and keeps a copy if it is anchored. What stands for it in the text, which
    /// is an alias perhaps, ends at `end`.
    fn finish(&mut self, node: Node, anchor: usize, size: usize, end: u32) -> Result<(), Fatal> {
        if anchor > 0 {
            self.count(size, node.span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.end = end;
        match &mut parent.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, merged, next } => match std::mem::replace(next, Next::Key) {
                Next::ValueOf(key) => entries.push((key, node)),
                Next::Merge => match mergeable(node) {
                    Ok(more) => merged.extend(more),
                    Err(span) => {
                        let problem = self.error("wrong-type", "<< takes a mapping or a list of mappings", span);
                        self.diagnostics.push(*problem);
                    }
                },
                Next::Key => {}
            },
        }
        Ok(())
    }

    /// A mapping's entries. A name given twice is an error, and the first counts; own entries win over merged ones.
    fn unique(&mut self, entries: Vec<(Key, Node)>, merged: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
        let mut lines = HashMap::with_capacity(entries.len());
        let mut unique = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            match lines.get(&key.name) {
                None => {
                    lines.insert(key.name.clone(), key.span.line);
                    unique.push((key, node));
                }
                Some(line) => {
                    let message = format!("the key {} is given twice", quoted(&key.name));
                    let problem = self.error("duplicate-key", message, key.span);
                    self.diagnostics.push(*help(problem, &format!("it stands on line {line} already")));
                }
            }
        }
        let mut names: HashSet<_> = lines.into_keys().collect();
        unique.extend(merged.into_iter().filter(|(key, _)| names.insert(key.name.clone())));
        unique
    }

    fn refuse_tag(&self, tag: Option<&Tag>, mark: Mark) -> Result<(), Fatal> {
        let Some(tag) = tag else { return Ok(()) };
        let span = self.span(mark.tag_span().unwrap_or(mark));
        let problem = self.error("unsupported-tag", format!("the YAML tag {} is not supported", tag.original()), span);
        Err(help(problem, "remove it; text that begins with ! must be in quotes"))
    }

    /// Counts nodes against the budget, which aliases of aliases would otherwise exhaust memory with.
    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Fatal> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("the file holds more than {MAX_NODES} values, those that aliases repeat included");
        Err(self.error("too-many-values", message, span))
    }

    fn syntax_error(&self, error: &ScanError) -> Fatal {
        let mark = error.marker().byte_offset().unwrap_or(self.text.len());
        let rest = self.text.get(mark..).unwrap_or_default();
        let brackets = self.open.iter().rfind(|open| open.style == StructureStyle::Flow);
        let advice = syntax::explain(error, rest, brackets.map(|open| open.span.line));
        let place = end_of(self.text.get(..mark + advice.skip).unwrap_or(self.text), self.file);
        let place = Place { length: advice.length, ..place };
        Box::new(Diagnostic::error(advice.code, advice.message).at(place).help(advice.help))
    }

    fn error(&self, code: &'static str, message: impl Into<String>, span: Span) -> Fatal {
        Box::new(Diagnostic::error(code, message).at(span.place(self.file)))
    }

    fn span(&self, mark: Mark) -> Span {
        let bytes = mark.byte_range().unwrap_or_default();
        let end = match self.text.get(bytes.clone()) {
            // The parser counts the line breaks after a block of text to it.
            Some(slice) if !slice.is_empty() => bytes.start + slice.trim_end_matches([' ', '\t', '\n', '\r']).len(),
            _ => bytes.end,
        };
        let (start, end) = (self.offset(bytes.start), self.offset(end.max(bytes.start)));
        let length = self.length(start, end);
        Span { start, end, line: number(mark.start.line()), column: number(mark.start.col() + 1), length }
    }

    fn offset(&self, in_text: usize) -> u32 {
        number(in_text + self.skipped)
    }

    /// How many characters lie between two offsets on the line of the first.
    fn length(&self, start: u32, end: u32) -> u32 {
        let slice = (start as usize).checked_sub(self.skipped).zip((end as usize).checked_sub(self.skipped));
        let slice = slice.and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default();
        let line = slice.split(['\n', '\r']).next().unwrap_or_default();
        number(line.chars().count())
    }
}

/// Numbers are below `MAX_FILE_BYTES`.
fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn help(mut problem: Fatal, help: &str) -> Fatal {
    problem.help = Some(help.to_owned());
    problem
}

/// What a merge key brings in, or the place of what it cannot.
fn mergeable(node: Node) -> Result<Vec<(Key, Node)>, Span> {
    match node.value {
        Value::Map(entries) => Ok(entries),
        Value::List(items) => items
            .into_iter()
            .map(|item| match item.value {
                Value::Map(entries) => Ok(entries),
                _ => Err(item.span),
            })
            .collect::<Result<Vec<_>, _>>()
            .map(|lists| lists.into_iter().flatten().collect()),
        _ => Err(node.span),
    }
}
