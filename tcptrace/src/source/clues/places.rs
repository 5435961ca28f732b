//! What leads to the network namespaces that are asked about: a process in them, or a mount.
//!
//! One that only a socket, a descriptor or a thread keeps is not searched for here.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    time::Instant,
};

use super::tables::REST;
use crate::source::machine::netns;

/// What leads to namespaces.
#[derive(Debug, Default)]
pub struct Places {
    /// What a search through all processes has found, and when.
    listed: Option<(Instant, HashMap<u32, PathBuf>)>,
}

impl Places {
    /// Paths that lead to the `wanted` ones, by inode. `near`: those of the processes that are looked at anyway.
    pub fn of(
        &mut self,
        wanted: &BTreeSet<u32>,
        near: impl Iterator<Item = (u32, PathBuf)>,
    ) -> HashMap<u32, PathBuf> {
        if wanted.is_empty() {
            return HashMap::new();
        }
        let mut found: HashMap<_, _> = near.filter(|(inode, _)| wanted.contains(inode)).collect();
        let missing: Vec<u32> = (wanted.iter().copied())
            .filter(|inode| !found.contains_key(inode))
            .collect();
        if !missing.is_empty() {
            let listed = self.listed();
            let path = |inode: u32| Some((inode, listed.get(&inode)?.clone()));
            found.extend(missing.into_iter().filter_map(path));
        }
        found
    }

    fn listed(&mut self) -> &HashMap<u32, PathBuf> {
        if (self.listed.as_ref()).is_some_and(|(read, _)| read.elapsed() >= REST) {
            self.listed = None;
        }
        let (_, paths) = self.listed.get_or_insert_with(|| {
            let paths = netns::list().map(|found| found.paths).unwrap_or_default();
            (Instant::now(), paths)
        });
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_found_near_or_by_a_search() {
        let own = netns::own().expect("there is one");
        let mut places = Places::default();
        let near = |path: &str| [(own, PathBuf::from(path)), (2, "/other".into())].into_iter();
        let found = places.of(&BTreeSet::from([own]), near("/near"));
        assert_eq!(found, HashMap::from([(own, "/near".into())]));
        assert!(places.listed.is_none());
        let found = places.of(&BTreeSet::from([own, 1]), [].into_iter());
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [own]);
        assert!(places.of(&BTreeSet::new(), near("/near")).is_empty());
    }
}
