//! The words that rules of syntax ask for: whether a text has one of them, and which.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, Input};

use crate::error::{Error, Result};

/// A text is searched at so many places at once: each step of an automaton waits for the one before, and a processor
/// can wait for several.
const LANES: usize = 4;

/// Words, of which all are searched in one pass.
#[derive(Debug)]
pub struct Words {
    automaton: DFA,
}

impl Words {
    /// # Errors
    /// They are too many to be searched: a defect of this build.
    pub fn new(words: &[&str]) -> Result<Self> {
        let broken = |reason: String| Error::Embedded { path: "rules".to_owned(), reason };
        let automaton = DFA::new(words).map_err(|error| broken(error.to_string()))?;
        Ok(Self { automaton })
    }

    /// Whether a text has one of them.
    pub fn has_any(&self, text: &str) -> bool {
        let Ok(start) = self.automaton.start_state(Anchored::No) else { return false };
        let text = text.as_bytes();
        let length = text.len() / LANES;
        // What a word may go on with behind the end of a lane.
        let beyond = self.automaton.max_pattern_len().saturating_sub(1);
        let mut states = [start; LANES];
        let mut lanes = text.chunks_exact(length.max(1));
        if let [Some(a), Some(b), Some(c), Some(d)] = std::array::from_fn(|_| lanes.next()) {
            for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
                let mut found = false;
                for (state, byte) in states.iter_mut().zip([a, b, c, d]) {
                    *state = self.automaton.next_state(Anchored::No, *state, *byte);
                    found |= self.automaton.is_match(*state);
                }
                if found {
                    return true;
                }
            }
        } else {
            return self.has_from(start, text);
        }
        states.into_iter().enumerate().any(|(lane, state)| {
            let end = (lane + 1) * length;
            let rest = if lane + 1 == LANES { text.len() } else { text.len().min(end + beyond) };
            self.has_from(state, &text[end..rest])
        })
    }

    /// Whether a word ends in what comes behind a state.
    fn has_from(&self, mut state: StateID, rest: &[u8]) -> bool {
        rest.iter().any(|byte| {
            state = self.automaton.next_state(Anchored::No, state, *byte);
            self.automaton.is_match(state)
        })
    }

    /// Each of them that a text has, by its place in the list, as often as it has it.
    pub fn find_all(&self, text: &str) -> impl Iterator<Item = usize> {
        let found = self.automaton.try_find_overlapping_iter(Input::new(text));
        found.into_iter().flatten().map(|found| found.pattern().as_usize())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn has_any_where_one_is_contained(
            words in prop::collection::btree_set("[ab]{1,6}", 1..4),
            text in "[abcé]{0,40}",
        ) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let found = Words::new(&words).unwrap();
            let contained = words.iter().any(|word| text.contains(word));
            prop_assert_eq!(found.has_any(&text), contained);
            for (at, word) in words.iter().enumerate() {
                prop_assert_eq!(found.find_all(&text).any(|found| found == at), text.contains(word));
            }
        }
    }
}
