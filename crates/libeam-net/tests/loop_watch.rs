//! A loop that is watched from the driver thread. The loop is this test's thread; waits are for facts, with a limit that
//! only a failure reaches.

use libeam_core::event_loop::{LoopConfig, LoopState};
use libeam_net::LoopWatch;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const CONFIG: LoopConfig = LoopConfig { busy_us: 20_000, hung_us: 300_000, interval_us: 1_000 };

#[test]
fn silence_is_told_to_who_follows_and_ends_with_an_answer() {
    let (ask, asked) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let watch = LoopWatch::start(CONFIG, move || {
        let _ = ask.send(());
    });
    watch.follow(move |state| {
        let _ = tell.send(state);
    });
    let next = || told.recv_timeout(PATIENCE).expect("news");
    asked.recv_timeout(PATIENCE).expect("a first question");
    let mut first = next();
    if first == LoopState::Ok {
        first = next(); // It followed before the silence was long enough.
    }
    assert_eq!(first, LoopState::Busy);
    assert_eq!(next(), LoopState::Hung);
    assert_eq!(watch.word().load(Ordering::Relaxed), 2);
    let block = watch.answer().expect("a block has ended");
    assert_eq!(block.worst, LoopState::Hung);
    assert!(block.waited_us >= CONFIG.hung_us, "{block:?}");
    assert_eq!(next(), LoopState::Ok);
    assert_eq!(watch.word().load(Ordering::Relaxed), 0);
    asked.recv_timeout(PATIENCE).expect("a further question");
}

#[test]
fn nobody_is_asked_after_the_end() {
    let (ask, asked) = mpsc::channel();
    let watch = LoopWatch::start(CONFIG, move || {
        let _ = ask.send(());
    });
    asked.recv_timeout(PATIENCE).expect("a first question");
    watch.answer();
    drop(watch);
    // The sender goes with the watch, whatever it has sent before.
    while asked.recv_timeout(PATIENCE).is_ok() {}
    assert_eq!(asked.try_recv(), Err(mpsc::TryRecvError::Disconnected));
}
