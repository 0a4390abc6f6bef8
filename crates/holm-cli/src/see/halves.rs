//! Work on many things by two threads, as the machine itself is read.

/// What `work` makes of the items, in their order. Up to `alone` of them take less time than a thread does to start.
pub(crate) fn halves<T: Sync, R: Send>(items: &[T], alone: usize, work: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    if items.len() <= alone {
        return work(items);
    }
    let (first, second) = items.split_at(items.len() / 2);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| work(second));
        let mut made = work(first);
        made.extend(second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        made
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_is_done_in_order() {
        let items: Vec<u32> = (0..9).collect();
        for alone in [0, 8, 9] {
            let made = super::halves(&items, alone, |part| part.iter().map(|item| item * 2).collect());
            assert_eq!(made, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }
}
