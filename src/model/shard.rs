//! Sharding: the assignment of clusters to one of several exporters.

use atlas_client::Target;
use md5::{Digest, Md5};

/// One of `total` exporters that share the clusters of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0 to `total` - 1.
    pub index: u32,
    pub total: u32,
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, total: 1 }
    }
}

impl Shard {
    /// Returns true if this exporter polls `target`. Of `total` exporters, exactly one does.
    ///
    /// This is rendezvous hashing: the shard with the highest hash of cluster and index is
    /// assigned. If `total` grows by one, only the clusters of the new shard move. The hash is MD5
    /// of `{project id}/{cluster name}/{index}`: it must never change with a compiler or library.
    #[must_use]
    pub fn contains(self, target: &Target) -> bool {
        if self.total <= 1 {
            return true;
        }
        let weight = |shard: u32| -> [u8; 16] {
            Md5::digest(format!("{}/{}/{shard}", target.project_id, target.cluster_name)).into()
        };
        (0..self.total).max_by_key(|shard| weight(*shard)) == Some(self.index)
    }
}

#[cfg(test)]
mod tests {
    use atlas_client::ProjectId;

    use super::*;

    fn targets() -> Vec<Target> {
        let project_id = ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap();
        let target = |i| Target { project_id: project_id.clone(), cluster_name: format!("cluster-{i}") };
        (0..1000).map(target).collect()
    }

    fn holder(target: &Target, total: u32) -> u32 {
        let holders: Vec<_> =
            (0..total).filter(|index| Shard { index: *index, total }.contains(target)).collect();
        assert_eq!(holders.len(), 1, "{target:?} is on {holders:?}");
        holders[0]
    }

    #[test]
    fn each_cluster_is_on_one_shard_and_shards_are_balanced() {
        for total in [1, 2, 3, 7] {
            let mut held = vec![0_u32; total as usize];
            for target in targets() {
                held[holder(&target, total) as usize] += 1;
            }
            let fair = 1000 / total;
            assert!(held.iter().all(|count| count.abs_diff(fair) <= fair / 3 + 1), "{held:?}");
        }
    }

    #[test]
    fn additional_shard_moves_only_its_own_clusters() {
        let mut moved = 0;
        for target in targets() {
            let (before, after) = (holder(&target, 3), holder(&target, 4));
            assert!(before == after || after == 3);
            moved += u32::from(before != after);
        }
        assert!((150..350).contains(&moved), "{moved}");
    }

    #[test]
    fn hash_equals_md5sum() {
        // printf '%s' 32b6e34b3d91647abb20e7b8/cluster-0/$shard | md5sum
        assert_eq!(holder(&targets()[0], 3), 0, "the highest of three");
    }
}
