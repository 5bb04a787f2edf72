//! What two nodes say to each other before and around the messages of their actors.
//!
//! # Who says what
//! A node sends over connections that it dialled and receives over connections that it accepted, so each pair of
//! nodes has two one-way sessions, and order holds within each. Every frame is one message of the transport.
//! ```text
//! dialler                                  listener
//!    │ Hello {cluster, node, epoch, target, nonce} ▶│  checked against what the listener is and knows
//!    │◀ Welcome {cluster, node, epoch, target, nonce}   or   Refused {why}
//!    │ batch, batch, …                             ▶│  nothing before the Welcome
//!    │ empty frame                                 ▶│  no more will come
//!    │◀ Farewell                                    │  everything before has been read
//! ```
//! [`hello`] has the greetings and the verdict on them, [`batch`] many messages in one frame and the queue that
//! fills frames while nobody sends, [`roster`] who is at the other ends.
//!
//! # What it stands on
//! - The transport keeps the order of frames on one connection, delivers each once or breaks the connection, and
//!   has authenticated the other end as one that knows the cluster's secret. It does not say which node that is:
//!   the greeting does, and whoever knows the secret is believed.
//! - The greeting names the node that was meant. A dial that somebody leads elsewhere, back to its source included,
//!   ends in a refusal. The answer repeats the nonce, so that an answer to another greeting is none.
//! - A node's later life has a greater epoch, and once one is known, earlier ones are refused.
//! - A session that breaks loses what was under way: at most once, and never a gap within what has arrived.

pub mod batch;
pub mod hello;
pub mod roster;
