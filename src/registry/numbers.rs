//! Numbers in a fixed order that often just count up: then they take no memory.
//!
//! A million targets that were registered together have a million ids in a row, and a list that is
//! sorted already is its own index.

use super::members::position_u32;
use std::ops::Range;

/// See the module's head.
#[derive(Debug)]
pub(super) enum Numbers {
    /// Each is the one before it and one more.
    Row(Range<u32>),
    /// Any others.
    Each(Box<[u32]>),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Row(0..0)
    }
}

impl From<Box<[u32]>> for Numbers {
    fn from(numbers: Box<[u32]>) -> Self {
        let is_next = |pair: &[u32]| pair[0].checked_add(1) == Some(pair[1]);
        match *numbers {
            [] => Self::default(),
            [first, ..] if numbers.windows(2).all(is_next) => {
                Self::Row(first..first + position_u32(numbers.len()))
            }
            [..] => Self::Each(numbers),
        }
    }
}

impl Numbers {
    /// How many.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Row(row) => row.len(),
            Self::Each(numbers) => numbers.len(),
        }
    }

    /// The one at `index`, which is below [`Numbers::len`].
    pub(super) fn at(&self, index: usize) -> u32 {
        match self {
            // `index` is below a difference of two such numbers.
            #[expect(clippy::cast_possible_truncation, reason = "see above")]
            Self::Row(row) => row.start + index as u32,
            Self::Each(numbers) => numbers[index],
        }
    }

    /// Those at `indices`, in order.
    pub(super) fn within(
        &self,
        indices: Range<usize>,
    ) -> impl ExactSizeIterator<Item = u32> + Clone + '_ {
        indices.map(|index| self.at(index))
    }

    /// The first index, from `from` on, whose number `is_before` does not hold for; it holds for
    /// all those before it and for none behind.
    pub(super) fn partition_point(&self, from: usize, is_before: impl Fn(u32) -> bool) -> usize {
        let (mut low, mut high) = (from, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.at(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The longest rows that they are made of, each with the index where it begins.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, Range<u32>)> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let (begin, first) = (from, (from < self.len()).then(|| self.at(from))?);
            let row = match self {
                Self::Row(row) => row.clone(),
                Self::Each(numbers) => {
                    let next = |pair: &&[u32]| pair[0].checked_add(1) == Some(pair[1]);
                    let more = numbers[begin..].windows(2).take_while(next).count();
                    first..numbers[begin + more] + 1
                }
            };
            from += row.len();
            Some((begin, row))
        })
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Row(_) => 0,
            Self::Each(numbers) => size_of_val(&**numbers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_take_no_memory_and_are_the_same() {
        let lists: [(&[u32], usize, &[usize]); 6] = [
            (&[], 0, &[]),
            (&[7], 0, &[0]),
            (&[7, 8, 9], 0, &[0]),
            (&[7, 9, 10, 3], 16, &[0, 1, 3]),
            (&[7, 7], 8, &[0, 1]),
            (&[9, 8], 8, &[0, 1]),
        ];
        for (list, bytes, rows) in lists {
            let numbers = Numbers::from(Box::from(list));
            assert_eq!((numbers.len(), numbers.bytes()), (list.len(), bytes), "{list:?}");
            assert!(numbers.within(0..list.len()).eq(list.iter().copied()), "{list:?}");
            assert!(numbers.rows().map(|(begin, _)| begin).eq(rows.iter().copied()), "{list:?}");
            assert!(numbers.rows().flat_map(|(_, row)| row).eq(list.iter().copied()), "{list:?}");
        }
    }

    #[test]
    fn a_partition_point_is_found_from_anywhere() {
        for numbers in [Numbers::Row(10..20), Numbers::Each((10..20).collect())] {
            for (from, below) in [(0, 10), (0, 13), (2, 13), (5, 13), (0, 20), (10, 20)] {
                let expect = from.max(below as usize - 10);
                assert_eq!(numbers.partition_point(from, |n| n < below), expect);
            }
        }
    }
}
