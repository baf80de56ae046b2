//! A random walk of calls, checked against a model: bytes arrive in order and exactly once, and what a call reports
//! follows from what was done.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::*;

/// Splitmix64: small, seeded, good enough to choose calls.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

/// What is known of one direction.
#[derive(Default)]
struct Model {
    on_the_way: VecDeque<u8>,
    next_byte: u8,
    finished: bool,
    ignored: bool,
}

#[test]
fn bytes_arrive_in_order_and_exactly_once_whatever_is_called() {
    for seed in 0..60 {
        walk(seed);
    }
}

fn walk(seed: u64) {
    let (network, _) = network();
    let mut random = Random(seed);
    let (a, b) = pair(&network);
    let mut ends = [Some(a), Some(b)];
    // models[n] is what end n writes.
    let mut models = [Model::default(), Model::default()];
    let mut reset = false;
    for step in 0..300 {
        let at = format!("seed {seed}, step {step}");
        let me = random.below(2);
        let peer = 1 - me;
        let peer_gone = ends[peer].is_none();
        let Some(end) = &ends[me] else { continue };
        let mut context = Context::from_waker(Waker::noop());
        match random.below(100) {
            0..40 => {
                let room = end.try_writable();
                let expected = if models[me].finished {
                    Err(NetworkError::Closed)
                } else if reset {
                    Err(NetworkError::Reset)
                } else if peer_gone {
                    Err(NetworkError::Closed)
                } else {
                    Ok(PIPE_CAPACITY - models[me].on_the_way.len())
                };
                assert_eq!(room, expected, "{at}");
                let ready = end.poll_writable(&mut context) == Poll::Ready(());
                assert_eq!(ready, room != Ok(0), "{at}: readiness is the truth");
                let Ok(room) = room else { continue };
                let max = if random.below(2) == 0 { 10 } else { 70_000 };
                let len = random.below(max).min(room);
                let model = &mut models[me];
                let mut data = Vec::with_capacity(len);
                for _ in 0..len {
                    data.push(model.next_byte);
                    model.next_byte = model.next_byte.wrapping_add(1);
                }
                if !model.ignored {
                    model.on_the_way.extend(&data);
                }
                end.try_write(Bytes::from(data)).unwrap();
            }
            40..85 => {
                let model = &mut models[peer];
                let ready = end.poll_readable(&mut context) == Poll::Ready(());
                let wanted = 1 + random.below(100_000);
                let got = end.try_read(wanted);
                assert_eq!(
                    ready,
                    got.as_ref().map_or(true, |data| !data.is_empty()),
                    "{at}: readiness is the truth"
                );
                let over = model.finished || peer_gone;
                if model.ignored {
                    assert_eq!(got, Err(NetworkError::Closed), "{at}");
                } else if !model.on_the_way.is_empty() {
                    let got = got.unwrap();
                    assert!(!got.is_empty() && got.len() <= wanted, "{at}");
                    assert!(got.iter().copied().eq(model.on_the_way.drain(..got.len())), "{at}");
                } else if reset {
                    assert_eq!(got, Err(NetworkError::Reset), "{at}");
                } else if over {
                    assert_eq!(got, Err(NetworkError::Closed), "{at}");
                } else {
                    assert_eq!(got, Ok(Bytes::new()), "{at}");
                }
            }
            85..88 if random.below(4) == 0 => {
                end.shutdown_write();
                models[me].finished = true;
            }
            88..91 if random.below(4) == 0 => {
                end.shutdown_read();
                models[peer].ignored = true;
                models[peer].on_the_way.clear();
            }
            91 if random.below(3) == 0 => {
                end.abort();
                reset = true;
            }
            92 if random.below(2) == 0 => {
                reset |= !models[peer].on_the_way.is_empty();
                models[peer].on_the_way.clear();
                ends[me] = None;
            }
            _ => {}
        }
    }
    drop(ends);
    let state = network.inner.state.lock();
    assert!(
        state.connections.is_empty() && state.tcp.all_open().is_empty(),
        "seed {seed}: nothing is left behind"
    );
}
