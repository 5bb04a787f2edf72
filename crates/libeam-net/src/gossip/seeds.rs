//! What the names of seeds mean, again and again: names may mean other addresses later.
//!
//! Each name is asked for by itself, since a name server that is down keeps its asker waiting for ten seconds and more: a
//! seed that is known holds nobody up. A name that cannot be resolved means what it meant before, nothing at first.
//! [`RESOLVERS_MAX`] names are asked for at once; names of IP addresses need no asking.

use super::troubles::Troubles;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Time between two looks at what a name means.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(10);
/// Names that are asked for at once: each keeps a thread waiting.
pub(super) const RESOLVERS_MAX: usize = 16;

/// What one seed means now: its number, and its addresses.
type Found = (usize, Vec<SocketAddr>);

/// What all seeds mean.
pub(super) struct Seeds {
    /// By the number of the seed.
    addrs: Vec<Vec<SocketAddr>>,
    found: mpsc::Receiver<Found>,
}

impl Seeds {
    /// Begins to ask; within a runtime. A name that has no address is a trouble.
    pub fn ask<L, F>(seeds: &[String], lookup: &L, troubles: &Arc<Troubles>) -> Self
    where
        L: Fn(String) -> F + Clone + Send + 'static,
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let (finds, found) = mpsc::channel(seeds.len().max(1));
        for (number, seed) in seeds.iter().enumerate() {
            let troubles = Arc::clone(troubles);
            tokio::spawn(resolve((number, seed.clone()), lookup.clone(), finds.clone(), troubles));
        }
        Self { addrs: vec![Vec::new(); seeds.len()], found }
    }

    /// All addresses, each time that there are others; `None` if there are no seeds.
    pub async fn changed(&mut self) -> Option<Vec<SocketAddr>> {
        let mut news = Some(self.found.recv().await?);
        while let Some((number, addrs)) = news {
            self.addrs[number] = addrs;
            news = self.found.try_recv().ok();
        }
        let mut all = self.addrs.concat();
        all.sort_unstable();
        all.dedup();
        Some(all)
    }
}

/// The addresses of a name, as the system finds them.
pub(super) async fn lookup(name: String) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host(name).await?.collect())
}

async fn resolve<L, F>((number, seed): (usize, String), lookup: L, finds: mpsc::Sender<Found>, troubles: Arc<Troubles>)
where
    L: Fn(String) -> F,
    F: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    let name = seed.strip_prefix("dns:").unwrap_or(&seed);
    let mut last = Vec::new();
    loop {
        match lookup(name.to_owned()).await {
            Ok(mut addrs) => {
                troubles.resolved(&seed, None);
                addrs.sort_unstable();
                if addrs != last {
                    last.clone_from(&addrs);
                    if finds.send((number, addrs)).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => troubles.resolved(&seed, Some(error.to_string())),
        }
        tokio::time::sleep(RESOLVE_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::{Gossip, GossipOptions, Trouble, What};
    use libeam_core::membership::config::MembershipConfig;
    use libeam_core::membership::envelope::Keyring;
    use parking_lot::Mutex;
    use std::future::pending;
    use std::sync::mpsc as std_mpsc;

    /// A failure takes as long.
    const PATIENCE: Duration = Duration::from_secs(20);
    const A: &str = "127.0.0.1:1";
    const B: &str = "127.0.0.1:2";

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("it is one")
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_not_answered_holds_no_other_up() {
        let lookup =
            |name: String| async move { if name == "silent:1" { pending().await } else { Ok(vec![addr(&name)]) } };
        let mut seeds = Seeds::ask(&["dns:silent:1", A, B].map(str::to_owned), &lookup, &Arc::default());
        assert_eq!(seeds.changed().await, Some(vec![addr(A), addr(B)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_means_what_it_meant_until_it_means_something_else() {
        let (answers, asked) = mpsc::unbounded_channel();
        let asked = Arc::new(tokio::sync::Mutex::new(asked));
        let lookup = move |_| {
            let asked = Arc::clone(&asked);
            async move { asked.lock().await.recv().await.expect("there are answers") }
        };
        let mut seeds = Seeds::ask(&["dns:name:1".to_owned()], &lookup, &Arc::default());
        for answer in [Ok(vec![]), Ok(vec![addr(A), addr(A)]), Err(io::ErrorKind::NotFound.into()), Ok(vec![addr(B)])] {
            answers.send(answer).expect("somebody asks");
        }
        assert_eq!(seeds.changed().await, Some(vec![addr(A)]));
        assert_eq!(seeds.changed().await, Some(vec![addr(B)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_without_an_address_is_told_of_once() {
        let lookup = |name: String| async move {
            if name == "nowhere:1" { Err(io::Error::other("no such name")) } else { Ok(vec![addr(&name)]) }
        };
        let troubles = Arc::default();
        let mut seeds = Seeds::ask(&["dns:nowhere:1", A].map(str::to_owned), &lookup, &troubles);
        assert_eq!(seeds.changed().await, Some(vec![addr(A)]));
        tokio::time::sleep(3 * RESOLVE_INTERVAL).await;
        let what = What::Unresolved("no such name".to_owned());
        assert_eq!(troubles.take(), [Trouble { about: "dns:nowhere:1".to_owned(), what }]);
    }

    #[test]
    fn the_end_does_not_wait_for_a_name_server() {
        let (answer, answered) = std_mpsc::channel::<()>();
        let answered = Arc::new(Mutex::new(answered));
        let (asks, asked) = std_mpsc::channel();
        let lookup = move |_| {
            let (asks, answered) = (asks.clone(), Arc::clone(&answered));
            async move {
                let silent = move || {
                    let _ = asks.send(());
                    let _ = answered.lock().recv();
                };
                let _ = tokio::task::spawn_blocking(silent).await;
                Ok(Vec::new())
            }
        };
        let options = GossipOptions {
            config: MembershipConfig::lan(),
            id: "a".into(),
            epoch: 1,
            meta: Arc::default(),
            bind: addr("127.0.0.1:0"),
            advertise: None,
            seeds: vec!["dns:silent:1".to_owned()],
            keys: Keyring::open(),
            seed: 1,
            blocked: Vec::new(),
        };
        let gossip = Gossip::start_with(options, || {}, lookup).expect("loopback can be bound");
        asked.recv().expect("it asks");
        let (ends, ended) = std_mpsc::channel();
        std::thread::spawn(move || {
            drop(gossip);
            let _ = ends.send(());
        });
        let outcome = ended.recv_timeout(PATIENCE);
        drop(answer);
        assert_eq!(outcome, Ok(()), "it still waits");
    }

    #[tokio::test]
    async fn without_seeds_nothing_changes() {
        assert_eq!(Seeds::ask(&[], &lookup, &Arc::default()).changed().await, None);
    }
}
