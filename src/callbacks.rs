//! The functions of a kernel as Node-API callbacks: arguments out, panics caught.

use crate::kernel::Shell;
use crate::raw;
use napi::sys;
use std::ffi::CStr;
use std::ptr;

/// Every function of a kernel, by the name that JavaScript uses.
pub const ALL: [(&CStr, raw::Callback); 8] = [
    (c"enter", enter),
    (c"submit", submit),
    (c"next", next),
    (c"control", control),
    (c"controlText", control_text),
    (c"listing", listing),
    (c"chunk", chunk),
    (c"dispose", dispose),
];

/// Runs a callback's work on its shell.
fn guarded<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    work: impl FnOnce(&Shell, [sys::napi_value; N]) -> sys::napi_value,
) -> sys::napi_value {
    // SAFETY: the data is the shell that `kernel::create` gave to the function; it lives until the
    // environment ends, and shells are only used on their environment's thread.
    unsafe { raw::guarded(env, info, work) }
}

unsafe extern "C" fn enter(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<0>(env, info, |shell, _| {
        shell.enter(env);
        ptr::null_mut()
    })
}

unsafe extern "C" fn submit(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<0>(env, info, |shell, _| {
        shell.submit();
        ptr::null_mut()
    })
}

unsafe extern "C" fn next(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<0>(env, info, |shell, _| {
        shell.next();
        ptr::null_mut()
    })
}

unsafe extern "C" fn control(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<1>(env, info, |shell, [op]| {
        shell.control(env, raw::u32_argument(env, op), None);
        ptr::null_mut()
    })
}

unsafe extern "C" fn control_text(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<2>(env, info, |shell, [op, text]| {
        shell.control(env, raw::u32_argument(env, op), raw::string_argument(env, text).as_deref());
        ptr::null_mut()
    })
}

unsafe extern "C" fn listing(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<0>(env, info, |shell, _| {
        let copied = shell.with_listing(|words| raw::copy(env, words));
        copied.unwrap_or_else(|error| {
            raw::throw(env, c"KERNEL_MEMORY", &error.reason);
            ptr::null_mut()
        })
    })
}

unsafe extern "C" fn chunk(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<1>(env, info, |shell, [index]| match shell.chunk(env, raw::u32_argument(env, index)) {
        Ok(view) => view.unwrap_or(ptr::null_mut()),
        Err(error) => {
            raw::throw(env, c"KERNEL_MEMORY", &error.reason);
            ptr::null_mut()
        }
    })
}

unsafe extern "C" fn dispose(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    guarded::<0>(env, info, |shell, _| {
        shell.dispose();
        ptr::null_mut()
    })
}
