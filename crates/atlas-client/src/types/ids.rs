//! Ids of Atlas.

use std::fmt;

use compact_str::CompactString;

/// Defines the type of ids of one kind.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(CompactString);

        impl $name {
            /// Parses an id; `None` unless it has 24 lower-case hexadecimal digits.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                (text.len() == 24 && text.bytes().all(hex)).then(|| Self(text.into()))
            }

            /// Returns the id as Atlas writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// Id of a project ("group" in the API): 24 lower-case hexadecimal digits.
    ProjectId
}

id! {
    /// Id of an organization: 24 lower-case hexadecimal digits.
    OrganizationId
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    pub project_id: ProjectId,
    /// Name of the cluster, unique in its project.
    pub cluster_name: String,
}

/// Id of a snapshot or a policy item: 24 hexadecimal digits, stored in 12 bytes, because a project
/// has thousands of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 12]);

impl ObjectId {
    /// Parses an id; `None` unless it has 24 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut id = [0; 12];
        if text.len() != 2 * id.len() {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_id_is_24_lower_case_hexadecimal_digits() {
        assert!(ProjectId::parse("32b6e34b3d91647abb20e7b8").is_some());
        for wrong in ["", "32b6e34b3d91647abb20e7b", "32B6E34B3D91647ABB20E7B8", "32b6e34b3d91647abb20e7bg"] {
            assert_eq!(ProjectId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn object_id_is_24_hexadecimal_digits() {
        assert_eq!(ObjectId::parse("0102030405060708090a0b0C").unwrap().0[9..], [10, 11, 12]);
        for wrong in ["", "0102030405060708090a0b0", "0102030405060708090a0b0g", "ä102030405060708090a0b0"] {
            assert_eq!(ObjectId::parse(wrong), None, "{wrong}");
        }
    }
}
