//! Causes before what follows from them.

/// The order in which to show groups of which each may follow from another one, given by its place: a cause before what
/// follows from it, otherwise as they are.
#[must_use]
pub fn causes_first(follows_from: &[Option<usize>]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(follows_from.len());
    let mut is_placed = vec![false; follows_from.len()];
    for first in 0..follows_from.len() {
        let mut chain = vec![first];
        let mut at = first;
        while let Some(cause) = follows_from[at]
            // What was said at different looks may go round in a circle.
            && !chain.contains(&cause)
        {
            chain.push(cause);
            at = cause;
        }
        for at in chain.into_iter().rev() {
            if !std::mem::replace(&mut is_placed[at], true) {
                order.push(at);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::causes_first;

    #[test]
    fn a_cause_is_before_what_follows_from_it_whatever_the_way() {
        assert_eq!(causes_first(&[None, None, None]), [0, 1, 2]);
        assert_eq!(causes_first(&[Some(2), None, None]), [2, 0, 1]);
        assert_eq!(causes_first(&[Some(1), Some(2), None]), [2, 1, 0]);
        assert_eq!(causes_first(&[None, Some(0), Some(0)]), [0, 1, 2]);
    }

    #[test]
    fn a_circle_ends_and_each_is_there_once() {
        let mut order = causes_first(&[Some(1), Some(0), Some(2)]);
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
    }
}
