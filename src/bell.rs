//! The bell of one isolate: a threadsafe function without payload.
//!
//! The inbox is the queue; the bell only says that it is not empty, once for any number of pushes.
//! Node 20 frees a threadsafe function with its worker whoever still holds it, so the handle sits
//! behind a mutex that the environment's clean-up hook empties ([`WakeUp::silence`]).

use crate::raw::check;
use napi::{Result, sys};
use parking_lot::Mutex;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

/// Something that any thread may use to call an isolate's `onBell`.
pub struct WakeUp {
    handle: Mutex<Handle>,
}

struct Handle(sys::napi_threadsafe_function);

// SAFETY: Node-API allows calls of a threadsafe function from any thread; the mutex orders them with
// the end of the function.
unsafe impl Send for Handle {}

impl WakeUp {
    /// Makes a bell that does not keep the process up.
    pub fn new(env: sys::napi_env, on_bell: sys::napi_value) -> Result<Self> {
        let mut name = ptr::null_mut();
        let text = c"libeam";
        // SAFETY: the string is valid for its length.
        let status =
            unsafe { sys::napi_create_string_utf8(env, text.as_ptr(), text.to_bytes().len() as isize, &raw mut name) };
        check(status, "napi_create_string_utf8")?;
        let mut handle = ptr::null_mut();
        // SAFETY: `on_bell` is a function of this environment; there is no payload and no context.
        let status = unsafe {
            sys::napi_create_threadsafe_function(
                env,
                on_bell,
                ptr::null_mut(),
                name,
                0,
                1,
                ptr::null_mut(),
                None,
                ptr::null_mut(),
                Some(call_on_bell),
                &raw mut handle,
            )
        };
        check(status, "napi_create_threadsafe_function")?;
        // SAFETY: the handle was just made in this environment.
        unsafe { sys::napi_unref_threadsafe_function(env, handle) };
        Ok(Self { handle: Mutex::new(Handle(handle)) })
    }

    /// A bell that is shared with other threads, and falls silent when its environment ends.
    pub fn shared(env: sys::napi_env, on_bell: sys::napi_value) -> Result<Arc<Self>> {
        let bell = Arc::new(Self::new(env, on_bell)?);
        let for_hook = Arc::into_raw(Arc::clone(&bell));
        // SAFETY: the hook gets the pointer once, when the environment ends.
        let status = unsafe { sys::napi_add_env_cleanup_hook(env, Some(silence_shared), for_hook.cast_mut().cast()) };
        check(status, "napi_add_env_cleanup_hook")?;
        Ok(bell)
    }

    /// Has `onBell` called soon. Does nothing after [`WakeUp::silence`].
    pub fn wake(&self) {
        let handle = self.handle.lock();
        if !handle.0.is_null() {
            // SAFETY: not null means that neither we nor the environment have ended it.
            unsafe {
                sys::napi_call_threadsafe_function(
                    handle.0,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }

    /// Keeps the process up, or lets it exit. Only on the isolate's own thread.
    pub fn keep_alive(&self, env: sys::napi_env, keep: KeepAlive) {
        let handle = self.handle.lock();
        if handle.0.is_null() {
            return;
        }
        // SAFETY: the handle is alive and this is its environment's thread.
        unsafe {
            match keep {
                KeepAlive::Yes => sys::napi_ref_threadsafe_function(env, handle.0),
                KeepAlive::No => sys::napi_unref_threadsafe_function(env, handle.0),
            };
        }
    }

    /// Ends the bell because the kernel is disposed of.
    pub fn release(&self) {
        let handle = std::mem::replace(&mut self.handle.lock().0, ptr::null_mut());
        if !handle.is_null() {
            // SAFETY: the handle was alive, and nobody can reach it any more.
            unsafe { sys::napi_release_threadsafe_function(handle, sys::ThreadsafeFunctionReleaseMode::abort) };
        }
    }

    /// Forgets the handle because the environment ends it.
    pub fn silence(&self) {
        self.handle.lock().0 = ptr::null_mut();
    }
}

/// Whether a bell keeps the process up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Something is still to come.
    Yes,
    /// Nothing is.
    No,
}

/// The environment of a shared bell ends.
unsafe extern "C" fn silence_shared(bell: *mut c_void) {
    // SAFETY: `bell` was given away by `WakeUp::shared`, and this hook is the only one that takes it back.
    let bell = unsafe { Arc::from_raw(bell.cast::<WakeUp>().cast_const()) };
    bell.silence();
}

unsafe extern "C" fn call_on_bell(
    env: sys::napi_env,
    on_bell: sys::napi_value,
    _context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() || on_bell.is_null() {
        return; // The environment is on its way out.
    }
    let (mut receiver, mut result) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: Node-API calls this on the isolate's thread with a live environment and function.
    unsafe {
        sys::napi_get_undefined(env, &raw mut receiver);
        sys::napi_call_function(env, receiver, on_bell, 0, ptr::null(), &raw mut result);
    }
}
