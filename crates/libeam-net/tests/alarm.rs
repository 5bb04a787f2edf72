//! Alarms on the real driver thread.
//!
//! Nothing here sleeps. That an alarm did *not* ring is known from a later one that did: callbacks run
//! in the order of their deadlines.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use libeam_net::{Alarm, MonotonicClock};

/// How long a test waits for something that should happen at once.
const FAILURE: Duration = Duration::from_secs(20);
const HOUR_US: u64 = 3_600_000_000;

fn now_us() -> u64 {
    MonotonicClock.now_us()
}

/// An alarm that sends the time at which it rings.
fn ringing() -> (Alarm, Receiver<u64>) {
    let (rang, rings) = channel();
    let alarm = Alarm::new(move || {
        let _ = rang.send(now_us());
    });
    (alarm, rings)
}

/// Returns when everything that was due by `deadline_us` has been called.
fn wait_until_after(deadline_us: u64) {
    let (marker, rings) = ringing();
    marker.set(deadline_us);
    rings.recv_timeout(FAILURE).expect("the marker did not ring");
}

/// Runs something on the driver thread, where no other callback can come between.
fn on_driver_thread(task: impl Fn() + Send + Sync + 'static) {
    let (done, is_done) = channel();
    let alarm = Alarm::new(move || {
        task();
        let _ = done.send(());
    });
    alarm.set(0);
    is_done.recv_timeout(FAILURE).expect("the task did not run");
}

#[test]
fn it_rings_on_the_driver_thread_and_not_before_its_deadline() {
    let (rang, rings) = channel();
    let alarm = Alarm::new(move || {
        let name = thread::current().name().map(str::to_owned);
        let _ = rang.send((now_us(), name));
    });
    let deadline_us = now_us() + 3_000;
    alarm.set(deadline_us);
    let (rang_us, name) = rings.recv_timeout(FAILURE).expect("it did not ring");
    assert!(rang_us >= deadline_us);
    assert_eq!(name.as_deref(), Some("libeam-driver"));
}

#[test]
fn it_rings_once_per_deadline() {
    let (alarm, rings) = ringing();
    for _ in 0..3 {
        alarm.set(now_us());
        rings.recv_timeout(FAILURE).expect("it did not ring");
        wait_until_after(now_us() + 2_000);
        assert!(rings.try_recv().is_err(), "it rang again");
    }
}

#[test]
fn a_later_deadline_replaces_an_earlier_one() {
    let (alarm, rings) = ringing();
    on_driver_thread({
        let alarm = Mutex::new(Some(alarm));
        let (kept, _keep) = channel();
        move || {
            let alarm = alarm.lock().unwrap().take().expect("called twice");
            alarm.set(now_us() + 1_000);
            alarm.set(now_us() + HOUR_US);
            let _ = kept.send(alarm);
        }
    });
    wait_until_after(now_us() + 3_000);
    assert!(rings.try_recv().is_err(), "the old deadline rang");
}

#[test]
fn a_deadline_that_moved_away_rings_when_it_is_due() {
    let (alarm, rings) = ringing();
    let deadline_us = now_us() + 6_000;
    alarm.set(deadline_us - 1_000);
    alarm.set(deadline_us);
    let mut rang_us = rings.recv_timeout(FAILURE).expect("it did not ring");
    if rang_us < deadline_us {
        // The machine was slow enough for the first deadline to be due.
        rang_us = rings.recv_timeout(FAILURE).expect("it did not ring");
    }
    assert!(rang_us >= deadline_us);
}

#[test]
fn an_earlier_deadline_replaces_a_later_one() {
    let (alarm, rings) = ringing();
    alarm.set(now_us() + HOUR_US);
    alarm.set(u64::MAX);
    alarm.set(now_us() + 1_000);
    rings.recv_timeout(FAILURE).expect("it did not ring");
}

#[test]
fn a_cleared_alarm_does_not_ring_and_can_be_set_again() {
    let (alarm, rings) = ringing();
    let alarm = Arc::new(alarm);
    on_driver_thread({
        let alarm = Arc::clone(&alarm);
        move || {
            alarm.set(0);
            alarm.clear();
        }
    });
    wait_until_after(now_us() + 1_000);
    assert!(rings.try_recv().is_err(), "it rang after all");
    alarm.set(now_us());
    rings.recv_timeout(FAILURE).expect("it did not ring");
}

#[test]
fn alarms_ring_in_the_order_of_their_deadlines() {
    let (rang, rings) = channel();
    let alarms: Vec<Alarm> = (0..50_u64)
        .map(|number| {
            let rang = rang.clone();
            Alarm::new(move || {
                let _ = rang.send(number);
            })
        })
        .collect();
    let alarms = Arc::new(alarms);
    on_driver_thread({
        let alarms = Arc::clone(&alarms);
        move || {
            for (number, alarm) in alarms.iter().enumerate().rev() {
                alarm.set(number as u64);
            }
        }
    });
    for number in 0..50 {
        assert_eq!(rings.recv_timeout(FAILURE), Ok(number));
    }
}

#[test]
fn it_can_be_set_again_from_its_own_callback() {
    let (rang, rings) = channel();
    let own = Arc::new(OnceLock::<Alarm>::new());
    let alarm = Alarm::new({
        let own = Arc::downgrade(&own);
        let count = AtomicU32::new(0);
        move || {
            let nth = count.fetch_add(1, Ordering::Relaxed) + 1;
            if nth < 5
                && let Some(own) = own.upgrade()
                && let Some(alarm) = own.get()
            {
                alarm.set(now_us() + 500);
            }
            let _ = rang.send(nth);
        }
    });
    own.get_or_init(|| alarm).set(now_us());
    for nth in 1..=5 {
        assert_eq!(rings.recv_timeout(FAILURE), Ok(nth));
    }
}

#[test]
fn ten_thousand_alarms_ring_once_each() {
    const ALARMS: usize = 10_000;
    let (rang, rings) = channel();
    let start_us = now_us();
    let alarms: Vec<Alarm> = (0..ALARMS)
        .map(|number| {
            let rang: Sender<usize> = rang.clone();
            let alarm = Alarm::new(move || {
                let _ = rang.send(number);
            });
            alarm.set(start_us + (number as u64 * 7_919) % 50_000);
            alarm
        })
        .collect();
    let mut seen = vec![0_u32; ALARMS];
    for _ in 0..ALARMS {
        seen[rings.recv_timeout(FAILURE).expect("some did not ring")] += 1;
    }
    wait_until_after(now_us() + 1_000);
    assert!(rings.try_recv().is_err());
    assert!(seen.iter().all(|&count| count == 1));
    drop(alarms);
}

#[test]
fn a_panic_in_the_callback_harms_nobody() {
    let (rang, rings) = channel();
    let alarm = Alarm::new(move || {
        let _ = rang.send(());
        panic!("on purpose");
    });
    for _ in 0..2 {
        alarm.set(now_us());
        rings.recv_timeout(FAILURE).expect("it did not ring");
    }
    wait_until_after(now_us());
}

#[test]
fn a_drop_releases_what_the_callback_captured() {
    let captured = Arc::new(());
    let alarm = Alarm::new({
        let captured = Arc::clone(&captured);
        move || drop(Arc::clone(&captured))
    });
    alarm.set(now_us() + HOUR_US);
    drop(alarm);
    assert_eq!(Arc::strong_count(&captured), 1);
}

#[test]
fn a_drop_waits_for_the_callback_that_is_running() {
    let (started, has_started) = channel();
    let (go, may_go) = channel();
    let may_go = Mutex::new(may_go);
    let finished = Arc::new(AtomicBool::new(false));
    let alarm = Alarm::new({
        let finished = Arc::clone(&finished);
        move || {
            let _ = started.send(());
            let _ = may_go.lock().unwrap().recv_timeout(FAILURE);
            finished.store(true, Ordering::SeqCst);
        }
    });
    alarm.set(0);
    has_started.recv_timeout(FAILURE).expect("it did not ring");
    let (about_to, is_about_to) = channel();
    let dropper = thread::spawn(move || {
        let _ = about_to.send(());
        drop(alarm);
        assert!(finished.load(Ordering::SeqCst), "it was still running");
    });
    is_about_to.recv_timeout(FAILURE).expect("no dropper");
    go.send(()).expect("the callback has gone");
    dropper.join().expect("the drop did not wait");
}

#[test]
fn nothing_rings_after_a_drop_however_close() {
    let late = Arc::new(AtomicU32::new(0));
    for round in 0..2_000 {
        let dropped = Arc::new(AtomicBool::new(false));
        let alarm = Alarm::new({
            let (dropped, late) = (Arc::clone(&dropped), Arc::clone(&late));
            move || {
                for _ in 0..50 {
                    late.fetch_add(u32::from(dropped.load(Ordering::SeqCst)), Ordering::SeqCst);
                }
            }
        });
        alarm.set(now_us() + round % 40);
        alarm.set(now_us() + round % 7);
        drop(alarm);
        dropped.store(true, Ordering::SeqCst);
    }
    wait_until_after(now_us());
    assert_eq!(late.load(Ordering::SeqCst), 0);
}

#[test]
fn it_can_be_dropped_by_its_own_callback() {
    let own = Arc::new(Mutex::new(None::<Alarm>));
    let captured = Arc::new(());
    let (rang, rings) = channel();
    let alarm = Alarm::new({
        let (own, captured) = (Arc::clone(&own), Arc::clone(&captured));
        move || {
            let _captured = &captured;
            drop(own.lock().unwrap().take());
            let _ = rang.send(());
        }
    });
    let mut place = own.lock().unwrap();
    alarm.set(0);
    *place = Some(alarm);
    drop(place);
    rings.recv_timeout(FAILURE).expect("the drop did not return");
    wait_until_after(now_us());
    assert_eq!(Arc::strong_count(&captured), 1);
}

#[test]
fn a_callback_can_drop_another_alarm_that_is_due() {
    let (victim, rings) = ringing();
    let victim = Mutex::new(Some(victim));
    on_driver_thread(move || {
        let victim = victim.lock().unwrap().take().expect("called twice");
        victim.set(0);
        drop(victim);
    });
    wait_until_after(now_us());
    assert!(rings.try_recv().is_err());
}
