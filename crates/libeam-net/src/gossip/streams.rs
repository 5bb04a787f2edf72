//! One request and one response over a TCP connection of their own.

use super::{FRAME_BYTES_MAX, STREAM_TIMEOUT, STREAMS_MAX};
use libeam_core::membership::RequestError;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

/// Requests and answers that wait for the driver at most.
const QUEUE: usize = 256;

/// Somebody asks.
pub(super) struct Request {
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
    /// Takes the response, or nothing for a request that gets none.
    pub respond: oneshot::Sender<Option<Vec<u8>>>,
}

/// Somebody has answered, or not.
pub(super) struct Answer {
    pub token: u64,
    pub response: Result<Vec<u8>, RequestError>,
}

/// Serves streams and makes them.
pub(super) struct Streams {
    requests: mpsc::Sender<Request>,
    answers: mpsc::Sender<Answer>,
    free: Arc<Semaphore>,
}

impl Streams {
    pub fn new() -> (Self, mpsc::Receiver<Request>, mpsc::Receiver<Answer>) {
        let (requests, asked) = mpsc::channel(QUEUE);
        let (answers, answered) = mpsc::channel(QUEUE);
        (Self { requests, answers, free: Arc::new(Semaphore::new(STREAMS_MAX)) }, asked, answered)
    }

    /// Serves one request; closes the stream at once if there are too many.
    pub fn serve(&self, mut stream: TcpStream, from: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else { return };
        let requests = self.requests.clone();
        tokio::spawn(async move {
            let served = async {
                let bytes = read_frame(&mut stream).await?;
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
            drop(permit);
        });
    }

    /// Asks somebody.
    pub fn request(&self, token: u64, to: SocketAddr, bytes: Vec<u8>) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let asked = async {
                let mut stream = TcpStream::connect(to).await?;
                write_frame(&mut stream, &bytes).await?;
                read_frame(&mut stream).await
            };
            let response = match timeout(STREAM_TIMEOUT, asked).await {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(RequestError::Refused),
                _ => Err(RequestError::Unreachable),
            };
            let _ = answers.send(Answer { token, response }).await;
        });
    }

    /// Asks nobody: the request is lost on the way, and its maker finds out when its time is over.
    pub fn lose(&self, token: u64) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            tokio::time::sleep(STREAM_TIMEOUT).await;
            let _ = answers.send(Answer { token, response: Err(RequestError::Unreachable) }).await;
        });
    }
}

async fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u32_le().await? as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Grows with what really comes, whatever was announced.
    let mut bytes = Vec::new();
    let read = stream.take(length as u64).read_to_end(&mut bytes).await?;
    if read == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

async fn write_frame(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut frame = Vec::with_capacity(4 + bytes.len());
    frame.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    frame.extend_from_slice(bytes);
    stream.write_all(&frame).await?;
    stream.flush().await
}
