//! Sessions: what is written can be read, nothing from the network panics, and the verdicts are the right ones.

use libeam_core::membership::member::NodeId;
use libeam_core::session::batch::{self, BATCH_BYTES, LENGTH_BYTES, Messages, Outgoing, Pushed, Truncated};
use libeam_core::session::hello::{GREETING_BYTES_MAX, Greeting, Hello, Local, Refusal};
use libeam_core::session::roster::Roster;
use proptest::prelude::*;

const REFUSALS: [Refusal; 7] = [
    Refusal::Malformed,
    Refusal::Version,
    Refusal::Cluster,
    Refusal::Target,
    Refusal::OwnId,
    Refusal::Epoch,
    Refusal::Nonce,
];

fn hello() -> impl Strategy<Value = Hello> {
    (".{0,60}", ".{1,60}", any::<u64>(), ".{0,60}", any::<u64>()).prop_map(|(cluster, node, epoch, target, nonce)| {
        Hello { cluster, node: NodeId::from(node), epoch, target: NodeId::from(target), nonce }
    })
}

fn greeting() -> impl Strategy<Value = Greeting> {
    prop_oneof![
        hello().prop_map(Greeting::Hello),
        hello().prop_map(Greeting::Welcome),
        prop::sample::select(&REFUSALS[..]).prop_map(Greeting::Refused),
        Just(Greeting::Farewell),
    ]
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..50)
}

fn local(node: &str, epoch: u64) -> Local {
    Local { cluster: "cluster".to_owned(), node: NodeId::from(node), epoch }
}

proptest! {
    #[test]
    fn a_greeting_can_be_read_and_every_part_of_it_cannot(greeting in greeting()) {
        let frame = greeting.encode();
        prop_assert!(frame.len() <= GREETING_BYTES_MAX);
        prop_assert_eq!(Greeting::decode(&frame), Ok(greeting));
        for end in 0..frame.len() {
            prop_assert!(Greeting::decode(&frame[..end]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Greeting::decode(&bytes);
        let ours = [&b"lbsn\x01"[..], &bytes].concat();
        let _ = Greeting::decode(&ours);
        let read: usize = Messages::new(&bytes).flatten().map(|message| LENGTH_BYTES + message.len()).sum();
        prop_assert!(read <= bytes.len());
        prop_assert_eq!(batch::is_complete(&bytes), read == bytes.len());
    }

    #[test]
    fn names_up_to_the_limit_fit_and_longer_ones_are_refused(length in 200_usize..300) {
        let node = "n".repeat(length);
        let speaker = local(&node, 1);
        let frame = Greeting::Hello(speaker.hello(&NodeId::from("b"), 7)).encode();
        prop_assert!(frame.len() <= GREETING_BYTES_MAX);
        prop_assert_eq!(speaker.is_valid(), length <= 255);
        let read = Greeting::decode(&frame);
        prop_assert_eq!(matches!(read, Ok(Greeting::Hello(hello)) if *hello.node == node), length <= 255);
    }

    #[test]
    fn a_batch_gives_its_messages_in_order(messages in messages(), cut in any::<prop::sample::Index>()) {
        let mut frame = Vec::new();
        messages.iter().for_each(|message| batch::append(&mut frame, message));
        let read: Result<Vec<_>, _> = Messages::new(&frame).collect();
        prop_assert_eq!(read, Ok(messages.iter().map(Vec::as_slice).collect()));
        if !frame.is_empty() {
            let part = &frame[..cut.index(frame.len())];
            let complete = Messages::new(part).filter(Result::is_ok).count();
            prop_assert!(complete < messages.len());
            prop_assert!(Messages::new(part).count() <= complete + 1);
        }
    }

    #[test]
    fn a_queue_keeps_order_and_limits(sizes in prop::collection::vec(0_usize..100_000, 0..60), max in 1_usize..2_000_000) {
        let mut outgoing = Outgoing::new(90_000, max);
        let mut queued = Vec::new();
        for (at, &size) in sizes.iter().enumerate() {
            let message = vec![at as u8; size];
            let empty = outgoing.is_empty();
            match outgoing.push(&message) {
                Pushed::Queued => queued.push(message),
                Pushed::TooBig => prop_assert!(size > 90_000),
                Pushed::Full => prop_assert!(!empty && outgoing.bytes() + size + LENGTH_BYTES > max),
            }
            prop_assert!(outgoing.bytes() <= max.max(90_000 + LENGTH_BYTES));
        }
        let mut read = Vec::new();
        while let Some(frame) = outgoing.pop() {
            let of_frame: Vec<_> = Messages::new(&frame).map(|message| message.map(<[u8]>::to_vec)).collect();
            prop_assert!(frame.len() <= BATCH_BYTES || of_frame.len() == 1);
            read.extend(of_frame);
        }
        prop_assert_eq!(read, queued.into_iter().map(Ok).collect::<Vec<_>>());
        prop_assert_eq!(outgoing.bytes(), 0);
    }

    #[test]
    fn a_queue_takes_frames_whole_and_in_order(
        sizes in prop::collection::vec((0_usize..20_000, 1_usize..5, any::<bool>()), 0..60),
        max in 1_usize..1_000_000,
    ) {
        let mut outgoing = Outgoing::new(90_000, max);
        let mut queued = Vec::new();
        for (at, &(size, count, alone)) in sizes.iter().enumerate() {
            let messages = vec![vec![at as u8; size]; if alone { 1 } else { count }];
            let mut frame = Vec::new();
            messages.iter().for_each(|message| batch::append(&mut frame, message));
            let (empty, room) = (outgoing.is_empty(), outgoing.room());
            match if alone { outgoing.push(&messages[0]) } else { outgoing.push_frame(&frame) } {
                Pushed::Queued => queued.extend(messages),
                Pushed::TooBig => prop_assert!(frame.len() > 90_000),
                Pushed::Full => prop_assert!(!empty && frame.len() > room),
            }
        }
        let mut read = Vec::new();
        while let Some(frame) = outgoing.pop() {
            prop_assert!(frame.len() <= BATCH_BYTES.max(4 * (20_000 + LENGTH_BYTES)));
            read.extend(Messages::new(&frame).map(|message| message.map(<[u8]>::to_vec)));
        }
        prop_assert_eq!(read, queued.into_iter().map(Ok).collect::<Vec<_>>());
    }
}

#[test]
fn a_batch_that_is_cut_off_says_so_once() {
    let mut read = Messages::new(&[255, 255, 255, 255, 1]);
    assert_eq!((read.next(), read.next()), (Some(Err(Truncated)), None));
}

#[test]
fn greetings_are_for_whom_they_are_meant() {
    let (a, b) = (local("a", 5), local("b", 9));
    let hello = a.hello(&b.node, 1);
    assert_eq!(b.admit(&hello, None), Ok(()));
    assert_eq!(b.admit(&hello, Some(5)), Ok(()));
    assert_eq!(b.admit(&hello, Some(6)), Err(Refusal::Epoch));
    assert_eq!(local("c", 1).admit(&hello, None), Err(Refusal::Target));
    assert_eq!(a.admit(&hello, None), Err(Refusal::OwnId), "led back to where it came from");
    assert_eq!(local("c", 1).admit(&a.hello(&NodeId::from(""), 1), None), Ok(()), "whoever is there");
    let elsewhere = Local { cluster: "another".to_owned(), ..b.clone() };
    assert_eq!(elsewhere.admit(&hello, None), Err(Refusal::Cluster));

    let welcome = b.hello(&a.node, hello.nonce);
    assert_eq!(a.accept(&hello, &welcome, Some(9)), Ok(()));
    assert_eq!(a.accept(&hello, &welcome, Some(10)), Err(Refusal::Epoch));
    assert_eq!(a.accept(&hello, &b.hello(&a.node, 2), None), Err(Refusal::Nonce));
    assert_eq!(a.accept(&hello, &local("c", 9).hello(&a.node, 1), None), Err(Refusal::Target));
}

#[test]
fn versions_can_tell_each_other_that_they_differ() {
    let mut hello = Greeting::Hello(local("a", 1).hello(&NodeId::from("b"), 1)).encode();
    hello[4] = 2;
    assert_eq!(Greeting::decode(&hello), Err(Refusal::Version));
    let mut refused = Greeting::Refused(Refusal::Version).encode();
    refused[4] = 2;
    assert_eq!(Greeting::decode(&refused), Ok(Greeting::Refused(Refusal::Version)));
}

#[test]
fn one_session_speaks_for_a_node_and_its_lives_only_go_on() {
    let mut roster = Roster::default();
    let node = NodeId::from("a");
    let first = roster.seat(&node, 3);
    let second = roster.seat(&node, 4);
    assert!(!roster.is_current("a", first) && roster.is_current("a", second));
    assert_eq!(roster.epoch("a"), Some(4));
    roster.leave("a", first);
    assert!(roster.is_current("a", second), "the end of a replaced session is nothing");
    roster.expect(&node);
    roster.leave("a", second);
    assert_eq!(roster.epoch("a"), Some(4), "it is expected");
    roster.note(&node, 7);
    assert_eq!(roster.epoch("a"), Some(7));
    roster.forget("a", None);
    assert_eq!(roster.epoch("a"), None);
}

#[test]
fn a_life_that_the_owner_has_forgotten_is_no_measure_for_the_next_one() {
    let mut roster = Roster::default();
    let node = NodeId::from("a");
    roster.expect(&node);
    let last = roster.seat(&node, 7);
    roster.forget("a", None);
    assert!(roster.is_current("a", last), "what it has said before its end counts");
    // Its clock was set back between the two lives.
    roster.expect(&node);
    assert_eq!(roster.epoch("a"), None);
    let next = roster.seat(&node, 3);
    assert!(!roster.is_current("a", last) && roster.is_current("a", next));
    assert_eq!(roster.epoch("a"), Some(3));
}

#[test]
fn the_last_words_of_a_life_are_no_news_of_the_next_one() {
    let mut roster = Roster::default();
    let node = NodeId::from("a");
    assert!(!roster.is_here("a"));
    roster.seat(&node, 7);
    assert!(roster.is_here("a"), "nobody expects it, and it speaks");
    roster.forget("a", None);
    assert!(!roster.is_here("a"), "what it says now was said before");
    let next = roster.seat(&node, 8);
    assert!(roster.is_here("a"));
    // The goodbye of the life before may be slower than the first words of the next one.
    roster.forget("a", Some(7));
    assert!(roster.is_here("a"));
    roster.forget("a", Some(8));
    assert!(!roster.is_here("a"));
    roster.expect(&node);
    assert!(roster.is_here("a"), "it was given up and lives");
    roster.forget("a", None);
    roster.leave("a", next);
    assert!(!roster.is_here("a"));
}
