//! One request and one response over a TCP connection of their own.
//!
//! Anybody can connect, and who it is cannot be told before all of a request has been read. So what strangers can
//! occupy is bounded, and whoever is new is served: of too many streams, the oldest one of the address that has
//! most of them is closed; a request for which there is no memory left is not read any further.

use super::{FRAME_BYTES_MAX, REQUEST_BYTES_MAX, STREAM_TIMEOUT, STREAMS_MAX};
use libeam_core::membership::RequestError;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Requests and answers that wait for the driver at most.
const QUEUE: usize = 256;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Somebody asks.
pub(super) struct Request {
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
    /// Takes the response, or nothing for a request that gets none.
    pub respond: oneshot::Sender<Option<Vec<u8>>>,
}

/// Answers nothing: the request is lost on the way, and its maker finds out when its time is over.
pub(super) fn lose(request: Request) {
    tokio::spawn(async move {
        tokio::time::sleep(STREAM_TIMEOUT).await;
        drop(request);
    });
}

/// Somebody has answered, or not.
pub(super) struct Answer {
    pub token: u64,
    pub to: SocketAddr,
    pub response: Result<Vec<u8>, RequestError>,
}

/// The streams that are served, oldest first, with who is at their other ends.
#[derive(Default)]
struct Serving {
    streams: BTreeMap<u64, (IpAddr, AbortHandle)>,
    last: u64,
}

impl Serving {
    /// The stream that has to go when there are too many.
    fn excess(&self) -> Option<u64> {
        if self.streams.len() <= STREAMS_MAX {
            return None;
        }
        let mut counts = HashMap::<IpAddr, usize>::new();
        for (ip, _) in self.streams.values() {
            *counts.entry(*ip).or_default() += 1;
        }
        let most = counts.values().max().copied()?;
        self.streams.iter().find(|(_, (ip, _))| counts[ip] == most).map(|(&number, _)| number)
    }

    fn enter(&mut self, from: IpAddr, task: AbortHandle) {
        self.streams.insert(self.last, (from, task));
        if let Some((_, task)) = self.excess().and_then(|number| self.streams.remove(&number)) {
            task.abort();
        }
    }
}

/// Serves streams and makes them.
pub(super) struct Streams {
    requests: mpsc::Sender<Request>,
    answers: mpsc::Sender<Answer>,
    serving: Arc<Mutex<Serving>>,
    memory: Arc<Semaphore>,
}

impl Streams {
    pub fn new() -> (Self, mpsc::Receiver<Request>, mpsc::Receiver<Answer>) {
        let (requests, asked) = mpsc::channel(QUEUE);
        let (answers, answered) = mpsc::channel(QUEUE);
        let memory = Arc::new(Semaphore::new(REQUEST_BYTES_MAX));
        (Self { requests, answers, serving: Arc::default(), memory }, asked, answered)
    }

    /// Serves one request.
    pub fn serve(&self, mut stream: TcpStream, from: SocketAddr) {
        let (requests, serving, memory) = (self.requests.clone(), Arc::clone(&self.serving), Arc::clone(&self.memory));
        // Held until the stream is known: its end must not come before its beginning.
        let mut known = self.serving.lock();
        known.last += 1;
        let number = known.last;
        let task = tokio::spawn(async move {
            let served = async {
                let (bytes, _held) = read_frame(&mut stream, Some(&memory)).await?;
                let (respond, response) = oneshot::channel();
                let asked = requests.send(Request { from, bytes, respond }).await;
                if asked.is_ok()
                    && let Ok(Some(response)) = response.await
                {
                    write_frame(&mut stream, &response).await?;
                }
                Ok::<_, io::Error>(())
            };
            // A stream that breaks off is its maker's concern.
            let _ = timeout(STREAM_TIMEOUT, served).await;
            serving.lock().streams.remove(&number);
        });
        known.enter(from.ip(), task.abort_handle());
    }

    /// Asks somebody.
    pub fn request(&self, token: u64, to: SocketAddr, bytes: Vec<u8>) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let asked = async {
                let mut stream = TcpStream::connect(to).await?;
                write_frame(&mut stream, &bytes).await?;
                read_frame(&mut stream, None).await.map(|(bytes, _)| bytes)
            };
            let response = match timeout(STREAM_TIMEOUT, asked).await {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) => Err(match error.kind() {
                    io::ErrorKind::ConnectionRefused => RequestError::Refused,
                    io::ErrorKind::UnexpectedEof => RequestError::Unanswered,
                    _ => RequestError::Unreachable,
                }),
                Err(_) => Err(RequestError::Unreachable),
            };
            let _ = answers.send(Answer { token, to, response }).await;
        });
    }

    /// Asks nobody: the request is lost on the way, and its maker finds out when its time is over.
    pub fn lose(&self, token: u64, to: SocketAddr) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            tokio::time::sleep(STREAM_TIMEOUT).await;
            let _ = answers.send(Answer { token, to, response: Err(RequestError::Unreachable) }).await;
        });
    }
}

/// Reads a frame. Takes what it needs from `memory`, and gives it back when what is returned beside the bytes is dropped.
async fn read_frame(
    stream: &mut TcpStream,
    memory: Option<&Arc<Semaphore>>,
) -> io::Result<(Vec<u8>, Option<OwnedSemaphorePermit>)> {
    let length = stream.read_u32_le().await? as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Grows with what really comes, whatever was announced.
    let mut bytes = Vec::new();
    let mut held: Option<OwnedSemaphorePermit> = None;
    let mut rest = stream.take(length as u64);
    while bytes.len() < length {
        let chunk = CHUNK_BYTES.min(length - bytes.len());
        bytes.reserve(chunk);
        let read = rest.read_buf(&mut bytes).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(memory) = memory {
            let permit = Arc::clone(memory).try_acquire_many_owned(read as u32);
            let permit = permit.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            match &mut held {
                Some(held) => held.merge(permit),
                None => held = Some(permit),
            }
        }
    }
    Ok((bytes, held))
}

async fn write_frame(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut frame = Vec::with_capacity(4 + bytes.len());
    frame.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    frame.extend_from_slice(bytes);
    stream.write_all(&frame).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_has_most_streams_gives_one_up() {
        let mut serving = Serving::default();
        let (greedy, modest) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut enter = |ip| {
            serving.last += 1;
            serving.enter(ip, tokio::spawn(std::future::pending::<()>()).abort_handle());
            serving.streams.values().filter(|(known, _)| *known == modest).count()
        };
        assert_eq!(enter(modest), 1);
        (0..STREAMS_MAX * 3).for_each(|_| assert_eq!(enter(greedy), 1, "the modest one stays"));
        (2..=STREAMS_MAX / 2).for_each(|count| assert_eq!(enter(modest), count, "and is served"));
        assert_eq!(serving.streams.len(), STREAMS_MAX);
        assert!(*serving.streams.keys().nth(1).expect("many") > STREAMS_MAX as u64, "the oldest ones went");
    }
}
