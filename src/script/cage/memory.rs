//! How much memory a thread holds: an allocator that counts, around the one that does the work. Takes any allocator;
//! gives a figure that a run's [budget](super::budget) can be held against.
//!
//! The engine's own size limits overlook some ways in which values grow, such as a map's keys. This one does not.

use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
};

/// An allocator whose threads know how much they hold. A program that runs scripts makes it its global one; without it
/// their memory is bounded by time and the engine's limits alone.
#[derive(Debug)]
pub struct Counted<A>(pub A);

thread_local! {
    /// Bytes taken on this thread less bytes given back on it. Negative where it frees what others took.
    static HELD: Cell<isize> = const { Cell::new(0) };
    #[cfg(test)]
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; this one hands every call on")]
// SAFETY: every call is handed on as it came, and so is its result; counting neither allocates nor unwinds, because the
// counter is a plain number without initialiser or destructor.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.0.realloc(pointer, layout, size) }
    }
}

fn count(change: isize) {
    HELD.set(held().wrapping_add(change));
    #[cfg(test)]
    PEAK.set(PEAK.get().max(held()));
}

/// What this thread holds now; meaningful as a difference.
pub(super) fn held() -> isize {
    HELD.get()
}

/// Runs `work`; gives its result, and how many bytes more than before it held at its worst moment.
#[cfg(test)]
pub(super) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = held();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before).unsigned_abs())
}
