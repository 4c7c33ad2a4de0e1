//! What a repository is in the middle of: takes git's own notes of it, gives the command that was begun and the ways out.

use super::{GitError, Repository};

/// A command of git's that was begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Underway {
    Rebase,
    Am,
    Merge,
    CherryPick,
    Revert,
    Bisect,
}

/// By which files git remembers it. A rebase goes first: it makes notes of the picks and merges that it consists of.
const NOTES: [(&str, Underway); 8] = [
    ("rebase-merge", Underway::Rebase),
    ("rebase-apply/applying", Underway::Am),
    ("rebase-apply", Underway::Rebase),
    ("MERGE_HEAD", Underway::Merge),
    ("CHERRY_PICK_HEAD", Underway::CherryPick),
    ("REVERT_HEAD", Underway::Revert),
    ("sequencer/todo", Underway::CherryPick),
    ("BISECT_LOG", Underway::Bisect),
];

impl Repository {
    /// What is not finished in this working tree, if anything.
    ///
    /// # Errors
    /// Git fails.
    pub(super) fn underway(&self) -> Result<Option<Underway>, GitError> {
        let asked = NOTES.into_iter().flat_map(|(note, _)| ["--git-path", note]);
        let answer = self.reader("rev-parse").args(asked).run()?.text()?;
        let paths: Vec<_> = answer.lines().map(|path| self.root.join(path)).collect();
        if paths.len() != NOTES.len() {
            return Err(GitError::unreadable("rev-parse"));
        }
        let Some((path, (note, underway))) = paths.iter().zip(NOTES).find(|(path, _)| path.exists()) else {
            return Ok(None);
        };
        // Between two of several commits only the list of what is to come says which command it is.
        let reverts = || std::fs::read_to_string(path).is_ok_and(|list| list.starts_with("revert"));
        Ok(Some(if note == "sequencer/todo" && reverts() { Underway::Revert } else { underway }))
    }
}

impl Underway {
    /// With its article, at the start of a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Rebase => "a rebase",
            Self::Am => "a git am, which applies patches,",
            Self::Merge => "a merge",
            Self::CherryPick => "a cherry-pick",
            Self::Revert => "a revert",
            Self::Bisect => "a bisect",
        }
    }

    pub(super) fn way_out(self) -> String {
        let command = match self {
            Self::Bisect => return "end it with git bisect reset".to_owned(),
            Self::Rebase => "rebase",
            Self::Am => "am",
            Self::Merge => "merge",
            Self::CherryPick => "cherry-pick",
            Self::Revert => "revert",
        };
        format!(
            "finish it with git {command} --continue; or undo it with git {command} --abort, which may take edits that are \
             not committed along: copy those first"
        )
    }
}
