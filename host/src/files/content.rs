//! A file's bytes, in pages.
//!
//! A page is allocated when something is written to it. A growing file is never copied, and a hole takes no memory.

use std::collections::BTreeMap;

/// The bytes of a page: what a file takes of the space it is in, rounded up.
pub(super) const PAGE: usize = 4_096;

/// The largest file: 16 TiB, what a file system with pages of this size can have.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 44;

/// A file's bytes.
#[derive(Debug, Default)]
pub(super) struct Content {
    pages: BTreeMap<u64, Box<[u8]>>,
    len: u64,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// How many pages are allocated.
    pub(super) fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    /// Whether there is a page for what is at an offset.
    pub(super) fn has_page(&self, offset: u64) -> bool {
        self.pages.contains_key(&page_of(offset))
    }

    /// Up to `len` bytes from `offset` on; fewer where the file ends.
    pub(super) fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let end = self.len.min(offset.saturating_add(len as u64));
        let Some(len) = end.checked_sub(offset).and_then(|len| usize::try_from(len).ok()) else {
            return Vec::new();
        };
        let mut bytes = vec![0; len];
        // What no page is for stays zero.
        for (&number, page) in self
            .pages
            .range(page_of(offset)..page_of(end.saturating_add(PAGE as u64 - 1)))
        {
            let begin = number * PAGE as u64;
            let (from, to) = (begin.max(offset), (begin + PAGE as u64).min(end));
            let within = |at: u64, of: u64| usize::try_from(at - of).unwrap_or(usize::MAX);
            bytes[within(from, offset)..within(to, offset)]
                .copy_from_slice(&page[within(from, begin)..within(to, begin)]);
        }
        bytes
    }

    /// Writes as many of the bytes as fit where `room` pages can be added, and says how many that were. Bytes between
    /// the file's end and `offset` become zeros.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], mut room: u64) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let at = offset + written as u64;
            let within = usize::try_from(at % PAGE as u64).unwrap_or(0);
            let page = match self.pages.entry(page_of(at)) {
                std::collections::btree_map::Entry::Occupied(page) => page.into_mut(),
                std::collections::btree_map::Entry::Vacant(vacant) => {
                    let Some(left) = room.checked_sub(1) else { break };
                    room = left;
                    vacant.insert(vec![0; PAGE].into_boxed_slice())
                }
            };
            let count = (PAGE - within).min(bytes.len() - written);
            page[within..within + count].copy_from_slice(&bytes[written..written + count]);
            written += count;
        }
        if written > 0 {
            self.len = self.len.max(offset + written as u64);
        }
        written
    }

    /// Cuts the file, or lets it grow by a hole.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            drop(self.pages.split_off(&len.div_ceil(PAGE as u64)));
            // What is written behind this end later must not bring back what was there.
            if let Some(last) = self.pages.get_mut(&page_of(len)) {
                last[usize::try_from(len % PAGE as u64).unwrap_or(0)..].fill(0);
            }
        }
        self.len = len;
    }
}

fn page_of(offset: u64) -> u64 {
    offset / PAGE as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_reads_as_zeros_and_takes_no_page() {
        let mut content = Content::default();
        assert_eq!(content.write(1 << 40, b"end", u64::MAX), 3);
        assert_eq!((content.len(), content.pages()), ((1 << 40) + 3, 1));
        assert_eq!(content.read((1 << 40) - 2, 10), b"\0\0end");
        assert_eq!(content.read(12_345, 3), [0; 3]);
        assert_eq!(content.read((1 << 40) + 3, 3), b"");
        assert_eq!(content.read(u64::MAX, 3), b"");
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut content = Content::default();
        assert_eq!(content.write(PAGE as u64 - 2, &[7; PAGE], 1), 2);
        assert_eq!((content.len(), content.pages()), (PAGE as u64, 1));
        assert_eq!(content.write(PAGE as u64, b"x", 0), 0);
        assert_eq!(content.len(), PAGE as u64);
        assert_eq!(content.write(0, &[1; PAGE], 0), PAGE, "it needs no further page");
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let mut content = Content::default();
        content.write(0, &[7; 3 * PAGE], 3);
        content.set_len(PAGE as u64 + 1);
        assert_eq!(content.pages(), 2);
        content.set_len(3 * PAGE as u64);
        assert_eq!(content.pages(), 2);
        let bytes = content.read(0, 3 * PAGE);
        assert!(bytes[..=PAGE].iter().all(|byte| *byte == 7));
        assert!(bytes[PAGE + 1..].iter().all(|byte| *byte == 0));
    }
}
