//! Text as it is put together: of millions of scraps.

/// A text that grows.
///
/// It does what a `String` does, but copies a scrap without a call, which takes longer than the copy where musl is the libc.
#[derive(Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// With room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// An empty one in the memory of what is no longer needed.
    #[must_use]
    pub fn in_place_of(mut gone: Vec<u8>) -> Self {
        gone.clear();
        Self(gone)
    }

    /// Appends a scrap.
    #[inline]
    pub fn push_str(&mut self, scrap: &str) {
        let out = &mut self.0;
        out.reserve(scrap.len());
        let (chunks, mut rest) = scrap.as_bytes().as_chunks::<32>();
        for chunk in chunks {
            out.extend_from_slice(chunk);
        }
        if let Some((chunk, more)) = rest.split_first_chunk::<16>() {
            out.extend_from_slice(chunk);
            rest = more;
        }
        let (chunks, rest) = rest.as_chunks::<4>();
        for chunk in chunks {
            out.extend_from_slice(chunk);
        }
        for byte in rest {
            out.push(*byte);
        }
    }

    /// Appends a character of ASCII.
    #[inline]
    pub(super) fn push_ascii(&mut self, byte: u8) {
        debug_assert!(byte.is_ascii());
        self.0.push(byte);
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes it empty, but keeps its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What it is.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Text> for Vec<u8> {
    fn from(text: Text) -> Self {
        text.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scraps_of_every_length_are_copied_as_they_are() {
        let alphabet = "abcdefghijklmnopqrstuvwxyzäöü0123456789-mongodbatlas_backup_export_jobs";
        let (mut text, mut expected) = (Text::default(), String::new());
        for (end, _) in alphabet.char_indices().chain([(alphabet.len(), ' ')]) {
            let scrap = &alphabet[..end];
            text.push_str(scrap);
            text.push_ascii(b'\n');
            expected += scrap;
            expected.push('\n');
        }
        assert_eq!((text.len(), text.as_bytes()), (expected.len(), expected.as_bytes()));
        let (before, capacity) = (text.as_bytes().as_ptr(), text.0.capacity());
        let text = Text::in_place_of(Vec::from(text));
        assert!(text.is_empty() && text.0.capacity() == capacity && text.as_bytes().as_ptr() == before);
    }
}
