//! Owns the diary of a claim: what was done to the service, noted by the thread that does it.

use std::cell::RefCell;
use std::fmt::Display;

/// Who reads a failure wants its last steps.
const KEPT: usize = 60;

thread_local! {
    static STEPS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes a step; what is done again and again is noted once.
pub fn note(step: impl Display) {
    STEPS.with_borrow_mut(|steps| {
        let step = step.to_string();
        if steps.last() != Some(&step) {
            steps.push(step);
        }
        if steps.len() > KEPT {
            steps.remove(0);
        }
    });
}

/// The steps of this thread since it last asked, in their order.
#[must_use]
pub fn take() -> Vec<String> {
    STEPS.with_borrow_mut(std::mem::take)
}
