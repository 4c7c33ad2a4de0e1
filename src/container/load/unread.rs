//! Files that look meant and that nobody reads: takes a path in a container, gives what its file would have to be called.

/// Endings, in small letters, and what they stand for.
const ENDINGS: [(&str, &str); 5] = [
    (".test.yaml", ".test.yaml"),
    (".test.yml", ".test.yaml"),
    (".yaml", ".yaml"),
    (".yml", ".yaml"),
    (".rhai", ".rhai"),
];

/// What to do so that a file is read; nothing where it is, or where it is nothing that a container would hold.
pub fn remedy(path: &str) -> Option<String> {
    let (part, inner) = path.split_once('/').filter(|(part, _)| matches!(*part, "rules" | "tags"))?;
    // What is hidden is meant to be: that is how other programs keep things of their own there.
    if inner.split('/').any(|name| name.starts_with('.')) {
        return None;
    }
    let name = inner.rsplit('/').next()?;
    let letters = name.to_ascii_lowercase();
    let (ending, right) = ENDINGS.iter().find(|(ending, _)| letters.ends_with(ending))?;
    let stem = name.get(..name.len() - ending.len())?;
    let home = if *right == ".rhai" { "tags" } else { part };
    let place = format!("{home}/{stem}{right}");
    match (place == path, inner.contains('/')) {
        (true, _) => None,
        (_, true) => Some(format!("move it up, to {place}: the folders in {part}/ are not looked into")),
        _ if home != part => Some(format!("move it to {place}, where scripts are")),
        _ => Some(format!("name it {place}")),
    }
}
