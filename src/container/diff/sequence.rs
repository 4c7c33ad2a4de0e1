//! What two sequences have in common, in order: the longest common subsequence, for lines of scripts and turns of tags.

/// Beyond this many comparisons, what lies between the common ends counts as different.
const MAX_CELLS: usize = 1 << 22;

/// The pairs of places at which the two agree, in order.
pub fn common<T: PartialEq>(before: &[T], after: &[T]) -> Vec<(usize, usize)> {
    let start = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (old, new) = (before.get(start..).unwrap_or_default(), after.get(start..).unwrap_or_default());
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (old.get(..old.len() - end).unwrap_or_default(), new.get(..new.len() - end).unwrap_or_default());

    let mut pairs: Vec<_> = (0..start).map(|place| (place, place)).collect();
    pairs.extend(longest(old, new).into_iter().map(|(a, b)| (a + start, b + start)));
    pairs.extend((0..end).rev().map(|back| (before.len() - 1 - back, after.len() - 1 - back)));
    pairs
}

/// Counts from the end, so that the pairs are found from the beginning.
fn longest<T: PartialEq>(old: &[T], new: &[T]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    if width.saturating_mul(old.len() + 1) > MAX_CELLS {
        return Vec::new();
    }
    let mut lengths = vec![0_u32; width * (old.len() + 1)];
    let at = |lengths: &[u32], a: usize, b: usize| lengths.get(a * width + b).copied().unwrap_or_default();
    for (a, left) in old.iter().enumerate().rev() {
        for (b, right) in new.iter().enumerate().rev() {
            let length = if left == right {
                at(&lengths, a + 1, b + 1) + 1
            } else {
                at(&lengths, a + 1, b).max(at(&lengths, a, b + 1))
            };
            if let Some(cell) = lengths.get_mut(a * width + b) {
                *cell = length;
            }
        }
    }
    let (mut a, mut b, mut pairs) = (0, 0, Vec::new());
    while let (Some(left), Some(right)) = (old.get(a), new.get(b)) {
        if left == right {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if at(&lengths, a + 1, b) >= at(&lengths, a, b + 1) {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::common;

    fn shared(before: &str, after: &str) -> String {
        let (before, after): (Vec<_>, Vec<_>) = (before.chars().collect(), after.chars().collect());
        common(&before, &after)
            .into_iter()
            .map(|(a, b)| {
                assert_eq!(before[a], after[b]);
                before[a]
            })
            .collect()
    }

    #[test]
    fn the_longest_part_in_order_is_common() {
        assert_eq!(shared("abcdef", "abxef"), "abef");
        assert_eq!(shared("xaybzc", "aqbwc"), "abc");
        assert_eq!(shared("", "abc"), "");
        assert_eq!(shared("abc", "abc"), "abc");
        assert_eq!(shared("aba", "abaaba"), "aba");
    }
}
