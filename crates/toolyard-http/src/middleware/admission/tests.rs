use std::{future::Future, pin::pin, task::Poll};

use futures::poll;
use tokio::time::Instant;

use super::*;

fn admission(max_requests: usize, max_requests_per_principal: usize, max_waiting: usize) -> Admission {
    let max_wait = Duration::from_secs(10);
    Admission::new(&HttpLimits { max_requests, max_requests_per_principal, max_waiting, max_wait, ..HttpLimits::default() })
}

/// The places in use, the queue, and how many callers are remembered.
fn counts(admission: &Admission) -> (usize, usize, usize) {
    (admission.active(), admission.waiting(), admission.shared.state().callers.len())
}

fn boxed<'a>(admission: &'a Admission, who: &'a str) -> std::pin::Pin<Box<dyn Future<Output = Result<Permit, Busy>> + 'a>> {
    Box::pin(admission.enter(who))
}

fn admitted(poll: Poll<Result<Permit, Busy>>) -> Permit {
    match poll {
        Poll::Ready(Ok(permit)) => permit,
        other => panic!("not admitted: {other:?}"),
    }
}

#[tokio::test]
async fn a_free_place_is_had_at_once_and_given_back() {
    let admission = admission(2, 2, 0);
    let first = admitted(poll!(boxed(&admission, "a")));
    let second = admitted(poll!(boxed(&admission, "b")));
    assert_eq!(counts(&admission), (2, 0, 2));
    assert_eq!(admission.enter("c").await.map(|_| ()), Err(Busy { retry_after: RETRY }));
    drop(first);
    drop(second);
    assert_eq!(counts(&admission), (0, 0, 0), "nobody is remembered");
}

#[tokio::test]
async fn one_caller_cannot_take_every_place() {
    let admission = admission(4, 2, 8);
    let _held = [admitted(poll!(boxed(&admission, "a"))), admitted(poll!(boxed(&admission, "a")))];
    let mut third = boxed(&admission, "a");
    assert!(poll!(&mut third).is_pending());
    let other = admitted(poll!(boxed(&admission, "b")));
    assert_eq!(counts(&admission), (3, 1, 2));
    drop(other);
    assert!(poll!(&mut third).is_pending(), "a place of somebody else does not help");
}

#[tokio::test]
async fn callers_take_turns_and_their_own_requests_keep_their_order() {
    let admission = admission(1, 1, 8);
    let mut held = admitted(poll!(boxed(&admission, "x")));
    let mut waiting: Vec<_> = ["a", "a", "a", "b", "c", "b"].into_iter().map(|who| boxed(&admission, who)).collect();
    for future in &mut waiting {
        assert!(poll!(future).is_pending());
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        drop(held);
        let mut next = None;
        for (number, future) in waiting.iter_mut().enumerate() {
            if !order.contains(&number)
                && let Poll::Ready(permit) = poll!(future)
            {
                next = Some((number, permit.expect("a place")));
            }
        }
        let (number, permit) = next.expect("somebody's turn");
        order.push(number);
        held = permit;
    }
    assert_eq!(order, [0, 3, 4, 1, 5, 2]);
}

#[tokio::test(start_paused = true)]
async fn rl2_waiting_is_bounded_in_time() {
    let admission = admission(1, 1, 8);
    let _held = admitted(poll!(boxed(&admission, "a")));
    let began = Instant::now();
    assert_eq!(admission.enter("b").await.map(|_| ()), Err(Busy { retry_after: RETRY }));
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(counts(&admission), (1, 0, 1));
}

#[tokio::test]
async fn rl2_waiting_is_bounded_in_number_and_who_asks_most_loses_his_last_place() {
    let admission = admission(1, 1, 3);
    let held = admitted(poll!(boxed(&admission, "a")));
    let mut crowd: Vec<_> = (0..3).map(|_| boxed(&admission, "a")).collect();
    for future in &mut crowd {
        assert!(poll!(future).is_pending());
    }
    let mut fourth = boxed(&admission, "a");
    assert!(matches!(poll!(&mut fourth), Poll::Ready(Err(Busy { .. }))), "the queue is full");
    let mut other = boxed(&admission, "b");
    assert!(poll!(&mut other).is_pending(), "one with nothing waiting gets a place in the queue");
    assert!(matches!(poll!(&mut crowd[2]), Poll::Ready(Err(Busy { .. }))), "the last of the others has lost it");
    assert_eq!(counts(&admission), (1, 3, 2));
    let mut again = boxed(&admission, "b");
    assert!(matches!(poll!(&mut again), Poll::Ready(Err(Busy { .. }))), "two and two would be no fairer");
    drop(held);
    drop(admitted(poll!(&mut crowd[0])));
    drop(admitted(poll!(&mut other)));
    drop(admitted(poll!(&mut crowd[1])));
    assert_eq!(counts(&admission), (0, 0, 0));
}

#[tokio::test]
async fn a_caller_who_gives_up_leaves_no_trace() {
    let admission = admission(1, 1, 8);
    let held = admitted(poll!(boxed(&admission, "a")));
    let mut gone = boxed(&admission, "b");
    let mut stays = boxed(&admission, "c");
    assert!(poll!(&mut gone).is_pending() && poll!(&mut stays).is_pending());
    drop(gone);
    assert_eq!(counts(&admission), (1, 1, 2));
    drop(held);
    drop(admitted(poll!(&mut stays)));
    assert_eq!(counts(&admission), (0, 0, 0));
    assert_eq!(admission.shared.state().turns.len(), 0);
}

#[tokio::test]
async fn a_place_given_to_a_caller_who_just_left_goes_to_the_next() {
    let admission = admission(1, 1, 8);
    let held = admitted(poll!(boxed(&admission, "a")));
    let mut gone = boxed(&admission, "b");
    let mut next = boxed(&admission, "c");
    assert!(poll!(&mut gone).is_pending() && poll!(&mut next).is_pending());
    drop(held);
    // It has the place and has not looked yet.
    drop(gone);
    drop(admitted(poll!(&mut next)));
    assert_eq!(counts(&admission), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_the_limits_hold_and_nothing_leaks() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let admission = admission(8, 3, 4_000);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..2_000)
        .map(|number| {
            let (admission, now, most) = (admission.clone(), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let who = format!("caller {}", number % 7);
                let mut entering = pin!(admission.enter(&who));
                if number % 5 == 0 {
                    // Looks once and gives up, with a place or without.
                    assert!(!matches!(poll!(&mut entering), Poll::Ready(Err(_))));
                    return;
                }
                let permit = entering.await.expect("the queue is long enough");
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(counts(&admission), (0, 0, 0));
    assert!((1..=8).contains(&most.load(Ordering::SeqCst)), "{most:?} at once");
}
