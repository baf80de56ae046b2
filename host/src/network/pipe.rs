//! The bytes on their way in one direction.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Writes shorter than this are gathered in one buffer: a chunk of its own costs about as much as this many bytes.
///
/// It also bounds what the host holds for a guest that writes byte by byte.
const GATHER_BELOW: usize = 4 * 1_024;

/// A queue of bytes with a capacity. Whole chunks pass through without being copied.
#[derive(Debug)]
pub(super) struct Pipe {
    chunks: VecDeque<Bytes>,
    /// Short writes since the last whole chunk.
    tail: BytesMut,
    len: usize,
    capacity: usize,
}

impl Pipe {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            tail: BytesMut::new(),
            len: 0,
            capacity,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many more bytes fit.
    pub(super) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.len)
    }

    /// Appends `data`, which the caller has seen to fit.
    pub(super) fn push(&mut self, data: Bytes) {
        if data.len() < GATHER_BELOW {
            return self.push_short(&data);
        }
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
        self.len += data.len();
        self.chunks.push_back(data);
    }

    /// Appends a copy of `data`, which should be short and which the caller has seen to fit.
    pub(super) fn push_short(&mut self, data: &[u8]) {
        if self.tail.len() + data.len() > GATHER_BELOW {
            self.chunks.push_back(self.tail.split().freeze());
        }
        self.len += data.len();
        self.tail.extend_from_slice(data);
    }

    /// Takes up to `max` bytes off the front, or none if there are none.
    pub(super) fn pop(&mut self, max: usize) -> Bytes {
        let taken = match self.chunks.front_mut() {
            Some(front) if front.len() > max => front.split_to(max),
            Some(_) => self.chunks.pop_front().expect("a front was seen"),
            None if self.tail.len() > max => self.tail.split_to(max).freeze(),
            None => self.tail.split().freeze(),
        };
        self.len -= taken.len();
        taken
    }

    /// Throws away what is on its way.
    pub(super) fn clear(&mut self) {
        self.chunks = VecDeque::new();
        self.tail = BytesMut::new();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_whatever_the_sizes() {
        for (name, writes) in [
            ("short writes only", vec![1, 2, 3]),
            ("long writes only", vec![5_000, 4_096]),
            (
                "a long write between short ones keeps its place",
                vec![1, 5_000, 2, 3, 6_000, 1],
            ),
            ("short writes that fill several gathering buffers", vec![3_000; 9]),
        ] {
            for read in [1, 7, 4_096, usize::MAX] {
                let total: usize = writes.iter().sum();
                let sent: Vec<u8> = (0..total).map(|n| u8::try_from(n % 251).unwrap()).collect();
                let mut pipe = Pipe::new(total);
                let mut at = 0;
                for len in &writes {
                    pipe.push(Bytes::copy_from_slice(&sent[at..at + len]));
                    at += len;
                }
                assert_eq!(pipe.free(), 0, "{name}");
                let mut received = Vec::new();
                while !pipe.is_empty() {
                    received.extend_from_slice(&pipe.pop(read));
                }
                assert_eq!(received, sent, "{name}, read by {read}");
                assert_eq!(pipe.free(), total, "{name}");
                assert!(pipe.pop(1).is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn a_long_write_is_not_copied() {
        let data = Bytes::from(vec![7; 10_000]);
        let mut pipe = Pipe::new(20_000);
        pipe.push(data.clone());
        assert_eq!(pipe.pop(usize::MAX).as_ptr(), data.as_ptr());
    }

    #[test]
    fn a_guest_that_writes_byte_by_byte_makes_few_chunks() {
        let mut pipe = Pipe::new(100_000);
        for _ in 0..100_000 {
            pipe.push_short(b"x");
        }
        assert!(pipe.chunks.len() <= 100_000 / GATHER_BELOW + 1);
    }
}
