//! The clock, as far as it can be judged without waiting.

use std::thread;

use libeam_net::MonotonicClock;

#[test]
fn it_never_goes_back() {
    let clock = MonotonicClock;
    let mut last_us = clock.now_us();
    for _ in 0..100_000 {
        let now_us = clock.now_us();
        assert!(now_us >= last_us);
        last_us = now_us;
    }
}

#[test]
fn all_threads_are_on_one_scale() {
    let before_us = MonotonicClock.now_us();
    let there_us = thread::spawn(|| MonotonicClock.now_us()).join().expect("the clock panicked");
    assert!(before_us <= there_us);
    assert!(there_us <= MonotonicClock.now_us());
}
