//! One kernel as JavaScript sees it, and when its memory goes.
//!
//! The [`Shell`] is what the functions given to JavaScript point to. JavaScript may keep a function
//! for ever, so the shell lives until its environment ends; `dispose` empties it before.

use crate::bell::{KeepAlive, WakeUp};
use crate::{KernelOptions, callbacks, raw};
use libeam_core::config::KernelConfig;
use libeam_core::kernel::Kernel;
use libeam_core::ring::bell::{Bell, Ring};
use libeam_core::ring::inbox::Inbox;
use libeam_net::{Alarm, MonotonicClock};
use napi::bindgen_prelude::Object;
use napi::{Env, JsValue, Result, sys};
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names kernels in this process, for actor ids that no two systems share.
static NEXT_KERNEL: AtomicU32 = AtomicU32::new(0);

/// Messages from other threads at most; a full inbox means that the isolate has been told already.
const INBOX_ITEMS_MAX: usize = 65_536;

/// What other threads tell a kernel.
pub enum External {
    /// The time that it asked for has come.
    Due,
}

/// The door for other threads.
pub struct Door {
    inbox: Inbox<External>,
    bell: Bell,
    wake_up: WakeUp,
}

impl Door {
    /// Leaves a message and rings if nobody has.
    pub fn push(&self, message: External) {
        // Nothing is lost with a full inbox: all there is to say is "look at the time".
        let _ = self.inbox.push(message);
        if self.bell.ring() == Ring::Wake {
            self.wake_up.wake();
        }
    }
}

/// A kernel with its clock and its door.
pub struct Shell {
    live: RefCell<Option<Live>>,
    clock: MonotonicClock,
    door: Arc<Door>,
    /// What the driver was last asked for, in microseconds; `u64::MAX` is never.
    armed_us: Cell<u64>,
    /// Whether the bell keeps the process up.
    kept: Cell<bool>,
}

struct Live {
    kernel: Kernel,
    alarm: Alarm,
    /// Reused for messages of other threads.
    letters: Vec<External>,
}

impl Shell {
    /// The next batch.
    pub fn enter(&self, env: sys::napi_env) {
        let mut live = self.live.borrow_mut();
        let Some(live) = live.as_mut() else { return };
        self.door.bell.answer();
        if !self.door.inbox.is_empty() {
            self.door.inbox.drain_into(&mut live.letters);
            for External::Due in live.letters.drain(..) {
                self.armed_us.set(u64::MAX);
            }
        }
        live.kernel.enter(self.clock.now_us());
        self.look_ahead(env, live);
    }

    /// Submissions only.
    pub fn submit(&self) {
        if let Some(live) = self.live.borrow_mut().as_mut() {
            live.kernel.submit();
        }
    }

    /// The next message of one actor.
    pub fn next(&self) {
        if let Some(live) = self.live.borrow_mut().as_mut() {
            live.kernel.next();
        }
    }

    /// One operation.
    pub fn control(&self, env: sys::napi_env, op: u32, text: Option<&str>) {
        let mut live = self.live.borrow_mut();
        let Some(live) = live.as_mut() else { return };
        if !libeam_core::ring::protocol::needs_time(op) {
            live.kernel.control(op, text, 0);
            return;
        }
        live.kernel.control(op, text, self.clock.now_us());
        self.look_ahead(env, live);
    }

    /// Asks to be woken in time, and keeps the process up as long as there is something to wait for.
    fn look_ahead(&self, env: sys::napi_env, live: &Live) {
        // Only an earlier deadline is worth the driver's attention; being woken in vain is cheaper.
        if let Some(due_us) = live.kernel.poll_timeout()
            && due_us < self.armed_us.get()
        {
            self.armed_us.set(due_us);
            live.alarm.set(due_us);
        }
        let keep = live.kernel.alarms_len() > 0;
        if keep != self.kept.get() {
            self.kept.set(keep);
            self.door.wake_up.keep_alive(env, if keep { KeepAlive::Yes } else { KeepAlive::No });
        }
    }

    /// The answer of the last operation that lists something.
    pub fn with_listing<T>(&self, read: impl FnOnce(&[u32]) -> T) -> T {
        match self.live.borrow().as_ref() {
            Some(live) => read(live.kernel.listing()),
            None => read(&[]),
        }
    }

    /// A view of a chunk of state words.
    pub fn chunk(&self, env: sys::napi_env, index: u32) -> Result<Option<sys::napi_value>> {
        match self.live.borrow().as_ref().and_then(|live| live.kernel.chunks().get(index as usize)) {
            Some(words) => raw::view(env, words).map(Some),
            None => Ok(None),
        }
    }

    /// Ends the kernel; its functions do nothing afterwards.
    pub fn dispose(&self) {
        let live = self.live.borrow_mut().take();
        drop(live); // Deregisters the alarm before the bell goes.
        self.door.wake_up.release();
    }
}

/// The environment ends: nobody may ring any more, and nobody can call any more.
unsafe extern "C" fn environment_ends(shell: *mut c_void) {
    // SAFETY: `shell` was leaked by `create`, and this hook is the only one that takes it back.
    let shell = unsafe { Box::from_raw(shell.cast::<Shell>()) };
    shell.door.wake_up.silence();
    drop(shell.live.borrow_mut().take());
}

/// Makes a kernel and the object that JavaScript holds.
pub fn create(env: &Env, options: &KernelOptions, on_bell: sys::napi_value) -> Result<Object<'static>> {
    let defaults = KernelConfig::default();
    let config = KernelConfig {
        actors_max: options.actors_max.unwrap_or(defaults.actors_max),
        timers_per_actor_max: options.timers_per_actor_max.unwrap_or(defaults.timers_per_actor_max),
        stash_messages_max: options.stash_messages_max.unwrap_or(defaults.stash_messages_max),
        call_timeout_ms: options.call_timeout_ms.unwrap_or(defaults.call_timeout_ms),
        stop_timeout_ms: options.stop_timeout_ms.unwrap_or(defaults.stop_timeout_ms),
        seed: options.seed.map_or(defaults.seed, u64::from),
        ..defaults
    };
    let clock = MonotonicClock;
    let door = Arc::new(Door {
        inbox: Inbox::new(INBOX_ITEMS_MAX),
        bell: Bell::new(),
        wake_up: WakeUp::new(env.raw(), on_bell)?,
    });
    let kernel = Kernel::new(config, clock.now_us());
    let page = raw::view(env.raw(), kernel.page())?;
    let for_alarm = Arc::clone(&door);
    let alarm = Alarm::new(move || for_alarm.push(External::Due));
    let shell = Shell {
        live: RefCell::new(Some(Live { kernel, alarm, letters: Vec::new() })),
        clock,
        door,
        armed_us: Cell::new(u64::MAX),
        kept: Cell::new(false),
    };
    let shell = Box::into_raw(Box::new(shell));
    // SAFETY: the hook gets the shell once, when the environment ends.
    let status = unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(environment_ends), shell.cast()) };
    raw::check(status, "napi_add_env_cleanup_hook")?;

    let object = Object::new(env)?;
    let put = |name: &CStr, value: sys::napi_value| raw::put(env.raw(), object.raw(), name, value);
    put(c"page", page)?;
    for (name, callback) in callbacks::ALL {
        put(name, raw::function(env.raw(), name, Some(callback), shell.cast_const().cast())?)?;
    }
    let mut object = object;
    object.set("id", NEXT_KERNEL.fetch_add(1, Ordering::Relaxed))?;
    Ok(Object::from_raw(env.raw(), object.raw()))
}
