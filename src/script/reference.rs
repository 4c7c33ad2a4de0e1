//! What a script can reach, told once: gives the text of `docs/scripting.md`. A test holds the names below against those
//! that the engine knows, runs every example, and compares the committed file.

use std::fmt::Write;

mod own;
mod rhai;

/// The version of all this. It grows by one when something is taken away or changes its meaning, and not when something
/// is added.
pub const VERSION: i64 = 1;

/// A function, property or name of Tidegate's own.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The names by which the engine knows it, such as `get$ip` for a property.
    pub names: &'static [&'static str],
    /// As a script writes it, with the types of what it takes.
    pub form: &'static str,
    /// The type of what it gives.
    pub gives: &'static str,
    pub about: &'static str,
    /// When it fails; empty if it cannot.
    pub fails: &'static str,
    pub examples: &'static [Example],
}

/// A script, and how it ends.
#[derive(Clone, Copy, Debug)]
pub enum Example {
    /// An expression, and its value as `text(value)` gives it.
    Value(&'static str, &'static str),
    /// A script, and its verdict in the trace.
    Script(&'static str, &'static str),
    /// A script, and the first line that it leaves in the trace.
    Note(&'static str, &'static str),
}

/// Some of Tidegate's own.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    pub title: &'static str,
    pub about: &'static str,
    pub entries: &'static [Entry],
}

/// What is kept of the language's own functions, by what they are for.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub title: &'static str,
    pub about: &'static str,
    /// As the engine knows them, without the `get$` of properties.
    pub names: &'static [&'static str],
}

pub use own::SECTIONS;
pub use rhai::{GROUPS, LEFT_OUT};

/// The parameters of every example, as a tag writes them.
pub const PARAMETERS: &str = r#"pixel_id: px-demo
api_key: { secret: OPENAI_CONVERSIONS_API_KEY }
list: weekly
days: 90
"#;

/// The fields behind those parameters, as a manifest writes them.
pub const MANIFEST: &str = r#"description: An example.
scripting: 1
permissions: { destinations: [openai], hosts: [api.example.com], cookies: [newsletter] }
fields:
  pixel_id: { type: text, fixed: true, description: The pixel's id. }
  api_key: { type: secret, description: The secret that holds the key. }
  list: { type: text, description: Which newsletter. }
  days: { type: whole, description: For how many days. }
"#;

/// The event of every example, as a page sends it.
pub const EVENT: &str = r#"{
  "event": "purchase", "event_id": "order-77", "value": 129.9, "currency": "EUR",
  "page_location": "https://shop.example.com/thanks?oppref=gAAAA",
  "items": [{"item_id": "SKU-1", "price": 129.9}],
  "consent": {"ad_storage": "granted", "ad_user_data": "granted", "ad_personalization": "denied"}
}
"#;

/// The whole reference, as Markdown.
pub fn markdown() -> String {
    let mut text = String::new();
    // Writing into a text cannot fail.
    let _ = write(&mut text);
    text
}

fn write(out: &mut String) -> std::fmt::Result {
    let intro = include_str!("reference/intro.md");
    writeln!(out, "{}", intro.replace("{VERSION}", &VERSION.to_string()).trim_end())?;
    writeln!(
        out,
        "\n## The examples\n\nEach example below runs in a test, with this manifest:\n\n```yaml\n{MANIFEST}```"
    )?;
    writeln!(
        out,
        "\nthese parameters of the tag:\n\n```yaml\n{PARAMETERS}```\n\nand this event:\n\n```json\n{EVENT}```"
    )?;
    for section in SECTIONS {
        writeln!(out, "\n## {}\n\n{}", section.title, section.about)?;
        for entry in section.entries {
            entry_text(out, entry)?;
        }
    }
    writeln!(out, "\n## The language's own functions\n\n{}", rhai::ABOUT)?;
    for group in GROUPS {
        let names: Vec<_> = group.names.iter().map(|name| format!("`{name}`")).collect();
        writeln!(out, "\n**{}.** {}\n\n{}", group.title, group.about, names.join(" "))?;
    }
    let left_out: Vec<_> = LEFT_OUT.iter().map(|name| format!("`{name}`")).collect();
    writeln!(out, "\n**Not there.** {}: {}", rhai::ABOUT_LEFT_OUT, left_out.join(" "))
}

fn entry_text(out: &mut String, entry: &Entry) -> std::fmt::Result {
    writeln!(out, "\n### `{}`\n\nGives {}. {}", entry.form, entry.gives, entry.about)?;
    if !entry.fails.is_empty() {
        writeln!(out, "Fails {}", entry.fails)?;
    }
    writeln!(out, "\n```rust")?;
    for example in entry.examples {
        match example {
            Example::Value(expression, value) => writeln!(out, "{expression}    // {value}")?,
            Example::Script(script, end) | Example::Note(script, end) => writeln!(out, "{script}    // {end}")?,
        }
    }
    writeln!(out, "```")
}
