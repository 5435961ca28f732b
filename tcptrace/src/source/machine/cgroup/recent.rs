//! What was found out last, in bounded memory.

use std::{collections::HashMap, hash::Hash};

/// Keeps what was used last: at least `most` of it, and at most twice as much.
#[derive(Debug)]
pub struct Recent<K, V> {
    most: usize,
    now: HashMap<K, V>,
    before: HashMap<K, V>,
}

impl<K: Eq + Hash + Copy, V: Clone> Recent<K, V> {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            now: HashMap::new(),
            before: HashMap::new(),
        }
    }

    /// What is known; it counts as used.
    pub fn get(&mut self, key: K) -> Option<V> {
        if let Some(value) = self.now.get(&key) {
            return Some(value.clone());
        }
        let value = self.before.remove(&key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    /// Keeps this.
    pub fn insert(&mut self, key: K, value: V) {
        if self.now.len() >= self.most {
            self.before = std::mem::take(&mut self.now);
        }
        self.now.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let mut recent = Recent::new(100);
        for number in 0..100_000 {
            recent.insert(number, number);
            assert_eq!(recent.get(0), Some(0));
            assert!(recent.now.len() + recent.before.len() <= 200);
        }
        assert_eq!(recent.get(99_999), Some(99_999));
        assert_eq!(recent.get(5), None);
    }
}
