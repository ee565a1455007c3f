//! The timer wheel against a model that is slow and plainly right: whatever the operations, both
//! say the same of every key after each of them.

use proptest::prelude::*;
use ringcheck::wheel::{ASIDES, Wheel};
use std::collections::{BTreeMap, VecDeque};

const KEYS: u32 = 24;

/// The wheel as one would write it without thinking of speed.
#[derive(Default)]
struct Model {
    elapsed: u64,
    waiting: BTreeMap<(u64, u64), u32>,
    ready: VecDeque<(u32, u64)>,
    asides: [VecDeque<(u32, u64)>; ASIDES],
    inserted: u64,
}

impl Model {
    fn due(&self, key: u32) -> Option<u64> {
        let ready =
            self.ready.iter().chain(self.asides.iter().flatten()).find(|r| r.0 == key).map(|r| r.1);
        ready.or_else(|| self.waiting.iter().find(|w| *w.1 == key).map(|w| w.0.0))
    }

    fn insert(&mut self, key: u32, due: u64) {
        self.inserted += 1;
        if due <= self.elapsed {
            self.ready.push_back((key, due));
        } else {
            self.waiting.insert((due, self.inserted), key);
        }
    }

    fn ready_len(&self) -> usize {
        self.ready.len() + self.asides.iter().map(VecDeque::len).sum::<usize>()
    }

    fn remove(&mut self, key: u32) {
        self.ready.retain(|r| r.0 != key);
        self.asides.iter_mut().for_each(|aside| aside.retain(|r| r.0 != key));
        self.waiting.retain(|_, k| *k != key);
    }

    fn advance(&mut self, now: u64) {
        self.elapsed = self.elapsed.max(now);
        while let Some(first) = self.waiting.first_entry() {
            if first.key().0 > self.elapsed {
                break;
            }
            let ((due, _), key) = first.remove_entry();
            self.ready.push_back((key, due));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Put a key in, so many ticks from now; if it is in, take it out first.
    Insert(u32, i64),
    Remove(u32),
    Advance(u64),
    AdvanceToNext,
    Pop,
    SetAside(usize),
    PopAside(usize),
}

/// Distances of every magnitude, and those around the edges of slots.
fn distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => (0_u32..40, any::<u64>()).prop_map(|(bits, random)| random % (1 << bits)),
        2 => (0_u32..7, 0_u64..66, 0_u64..3)
            .prop_map(|(level, slot, around)| (slot << (6 * level)) + around),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..KEYS, distance(), prop::bool::weighted(0.2)).prop_map(|(key, distance, late)| {
            let distance = i64::try_from(distance).expect("below 2^42");
            Op::Insert(key, if late { -(distance % 100) } else { distance })
        }),
        1 => (0..KEYS).prop_map(Op::Remove),
        3 => distance().prop_map(Op::Advance),
        2 => Just(Op::AdvanceToNext),
        3 => Just(Op::Pop),
        2 => (0..ASIDES).prop_map(Op::SetAside),
        1 => (0..ASIDES).prop_map(Op::PopAside),
    ]
}

fn check(wheel: &Wheel, model: &Model) {
    assert_eq!(wheel.elapsed(), model.elapsed);
    assert_eq!(wheel.len() as usize, model.ready_len() + model.waiting.len());
    assert_eq!(wheel.is_empty(), model.ready_len() == 0 && model.waiting.is_empty());
    assert_eq!(wheel.ready_len() as usize, model.ready_len());
    assert_eq!(wheel.peek(), model.ready.front().copied());
    for (aside, list) in model.asides.iter().enumerate() {
        assert_eq!(wheel.peek_aside(aside), list.front().copied());
    }
    for key in 0..KEYS {
        assert_eq!(wheel.due(key), model.due(key), "key {key}");
    }
    let earliest = model.waiting.keys().next().map(|&(due, _)| due);
    match (wheel.next_due(), model.ready.front(), earliest) {
        (None, None, None) => {}
        (Some(next), Some(&(_, due)), _) => assert_eq!(next, due),
        (Some(next), None, Some(due)) => {
            assert!(next > model.elapsed && next <= due, "{next}, earliest {due}");
            assert!(next == due || due >> 6 != model.elapsed >> 6);
        }
        odd => panic!("next due, first ready, earliest: {odd:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_wheel_is_the_model(
        start in prop_oneof![Just(0), 0..u64::MAX >> 2, (1_u64 << 36) - 70..(1 << 36) + 70],
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut wheel = Wheel::new(start);
        wheel.grow(KEYS);
        let mut model = Model { elapsed: start, ..Model::default() };
        for op in ops {
            match op {
                Op::Insert(key, distance) => {
                    assert_eq!(wheel.remove(key), model.due(key).is_some());
                    model.remove(key);
                    let due = model.elapsed.saturating_add_signed(distance);
                    wheel.insert(key, due);
                    model.insert(key, due);
                }
                Op::Remove(key) => {
                    assert_eq!(wheel.remove(key), model.due(key).is_some());
                    model.remove(key);
                }
                Op::Advance(by) => {
                    wheel.advance(model.elapsed + by);
                    model.advance(model.elapsed + by);
                }
                Op::AdvanceToNext => {
                    let next = wheel.next_due().unwrap_or(0);
                    wheel.advance(next);
                    model.advance(next);
                }
                Op::Pop => assert_eq!(wheel.pop(), model.ready.pop_front()),
                Op::SetAside(aside) => {
                    wheel.set_aside(aside);
                    model.asides[aside].extend(model.ready.pop_front());
                }
                Op::PopAside(aside) => {
                    assert_eq!(wheel.pop_aside(aside), model.asides[aside].pop_front());
                }
            }
            check(&wheel, &model);
        }
        for (aside, list) in model.asides.iter().enumerate() {
            let popped: VecDeque<_> = std::iter::from_fn(|| wheel.pop_aside(aside)).collect();
            assert_eq!(popped, *list);
        }
        let rest = model.waiting.len() + model.ready.len();
        wheel.advance(u64::MAX);
        assert_eq!(std::iter::from_fn(|| wheel.pop()).count(), rest);
        assert!(wheel.next_due().is_none() && wheel.is_empty());
    }
}
