//! When the write-ahead log is copied into the file. Takes its length after every group, and how far the checkpointer
//! got; gives the step that is due. Knows nothing of SQLite.
//!
//! A log whose pages are all in the file is begun anew by the next commit, and written over in place: a sync then needs
//! no new blocks and no new length. The checkpointer copies nearly everything beside the writer. The writer copies the
//! last pages itself, as there is always one more commit otherwise. Cutting the log off instead, and copying more often,
//! kept one hit in a hundred waiting for 19 ms at full load, and not for 5.

use super::file::PAGE_BYTES;

/// Pages that are worth copying. Calls are deleted soon after they were written, so most pages of the log are versions of
/// the same few: the longer it is, the less is copied for each call.
const COPY_PAGES: usize = (32 << 20) / PAGE_BYTES;

/// Pages that the writer copies between two groups: a few milliseconds.
const REST_PAGES: usize = (1 << 20) / PAGE_BYTES;

/// Pages at which the writer cuts off a log that could not begin anew.
const TRUNCATE_PAGES: usize = (64 << 20) / PAGE_BYTES;

/// How many more pages it waits when a reader has kept it from doing so.
const TRUNCATE_AGAIN_PAGES: usize = (16 << 20) / PAGE_BYTES;

/// The write-ahead log, all lengths in pages.
pub(super) struct Log {
    /// After the group before.
    length: usize,
    copying: Copying,
    copy_at: usize,
    truncate_at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Copying {
    No,
    Asked,
}

/// What to do about the log between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Ask the checkpointer for a round.
    Copy,
    /// Copy the rest.
    Finish,
    /// Copy the rest and cut the log off, waiting for whoever reads it.
    Truncate,
}

impl Default for Log {
    fn default() -> Self {
        Self { length: 0, copying: Copying::No, copy_at: COPY_PAGES, truncate_at: TRUNCATE_PAGES }
    }
}

impl Log {
    /// What is due now that the log is so long. `copied` is how much of it the round that was asked for copied; `None`
    /// while that is under way.
    pub fn step(&mut self, length: usize, copied: Option<usize>) -> Step {
        if length < self.length {
            *self = Self::default();
        }
        self.length = length;
        if length >= self.truncate_at {
            // Tried again only after some more pages, should a reader prevent it.
            self.truncate_at = length + TRUNCATE_AGAIN_PAGES;
            return Step::Truncate;
        }
        match (self.copying, copied) {
            (Copying::No, _) if length >= self.copy_at => {
                self.copying = Copying::Asked;
                Step::Copy
            }
            // The writer was faster than the disk; the next round has less to copy.
            (Copying::Asked, Some(copied)) if length > copied + REST_PAGES => Step::Copy,
            (Copying::Asked, Some(_)) => {
                self.copying = Copying::No;
                self.copy_at = length + COPY_PAGES;
                Step::Finish
            }
            (Copying::No, _) | (Copying::Asked, None) => Step::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_copied_beside_the_writer_and_finished_by_it() {
        let mut log = Log::default();
        assert_eq!(log.step(COPY_PAGES - 1, Some(0)), Step::Nothing);
        assert_eq!(log.step(COPY_PAGES, Some(0)), Step::Copy);
        assert_eq!(log.step(COPY_PAGES + 10, None), Step::Nothing, "under way");
        assert_eq!(log.step(COPY_PAGES + 500, Some(COPY_PAGES)), Step::Copy, "the writer was faster");
        assert_eq!(log.step(COPY_PAGES + 600, Some(COPY_PAGES + 500)), Step::Finish);
        assert_eq!(
            log.step(COPY_PAGES + 610, Some(COPY_PAGES + 500)),
            Step::Nothing,
            "a reader held it, or no commit yet"
        );
        assert_eq!(log.step(20, Some(COPY_PAGES + 500)), Step::Nothing, "begun anew");
        assert_eq!(log.step(COPY_PAGES, Some(COPY_PAGES + 500)), Step::Copy);
    }

    #[test]
    fn a_log_that_readers_hold_is_cut_off_now_and_then() {
        let mut log = Log::default();
        assert_eq!(log.step(TRUNCATE_PAGES, None), Step::Truncate);
        assert_eq!(log.step(TRUNCATE_PAGES + 1, None), Step::Copy);
        assert_eq!(log.step(TRUNCATE_PAGES + TRUNCATE_AGAIN_PAGES, None), Step::Truncate);
        assert_eq!(log.step(0, None), Step::Nothing, "it was");
        assert_eq!(log.step(TRUNCATE_PAGES - 1, None), Step::Copy);
    }
}
