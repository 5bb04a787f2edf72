//! The few raw Node-API calls that the hot path needs, made safe.

use libeam_core::ring::Words;
use napi::{Error, Result, Status, sys};
use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::{ptr, slice};

/// A function of ours as JavaScript calls it.
pub type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// Turns a status into a result that names the call.
pub fn check(status: sys::napi_status, call: &str) -> Result<()> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    Err(Error::new(Status::from(status), format!("{call} failed with status {status}")))
}

/// Makes a function that hands `data` to its callback.
pub fn function(
    env: sys::napi_env,
    name: &CStr,
    callback: sys::napi_callback,
    data: *const c_void,
) -> Result<sys::napi_value> {
    let mut result = ptr::null_mut();
    // SAFETY: `env` is the environment of the running call; the name outlives the call; `data` stays valid as long as the
    // function can be called, which `kernel::create` and `method` see to.
    let status = unsafe {
        sys::napi_create_function(
            env,
            name.as_ptr(),
            name.to_bytes().len() as isize,
            callback,
            data.cast_mut(),
            &raw mut result,
        )
    };
    check(status, "napi_create_function")?;
    Ok(result)
}

/// Gives an object a function that hands `data` to its callback; the function owns a share of it.
pub fn method<T>(
    env: sys::napi_env,
    object: sys::napi_value,
    (name, callback): (&CStr, Callback),
    data: &Rc<T>,
) -> Result<()> {
    let share = Rc::into_raw(Rc::clone(data)).cast::<c_void>();
    let function = function(env, name, Some(callback), share).inspect_err(|_| {
        // SAFETY: nobody else has this share.
        drop(unsafe { Rc::from_raw(share.cast::<T>()) });
    })?;
    let (data, no_hint) = (share.cast_mut(), ptr::null_mut());
    // SAFETY: the function belongs to the running call; the finalizer gets the share once.
    let status =
        unsafe { sys::napi_add_finalizer(env, function, data, Some(drop_share::<T>), no_hint, ptr::null_mut()) };
    check(status, "napi_add_finalizer")?;
    put(env, object, name, function)
}

/// Sets a property of an object.
pub fn put(env: sys::napi_env, object: sys::napi_value, name: &CStr, value: sys::napi_value) -> Result<()> {
    // SAFETY: object and value belong to the running call.
    check(unsafe { sys::napi_set_named_property(env, object, name.as_ptr(), value) }, "napi_set_named_property")
}

unsafe extern "C" fn drop_share<T>(_env: sys::napi_env, share: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `share` was leaked by `method` for this finalizer, which runs once.
    drop(unsafe { Rc::from_raw(share.cast::<T>().cast_const()) });
}

/// Runs a callback's work on the data of its function. A panic becomes a JavaScript error: it must not cross into C.
///
/// # Safety
/// The function was made with a pointer to a `T` that still lives and is used on this thread only.
pub unsafe fn guarded<T, const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    work: impl FnOnce(&T, [sys::napi_value; N]) -> sys::napi_value,
) -> sys::napi_value {
    let (data, args) = call_info::<N>(env, info);
    // SAFETY: the caller's promise.
    let data = unsafe { &*data.cast::<T>() };
    match catch_unwind(AssertUnwindSafe(|| work(data, args))) {
        Ok(value) => value,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            throw(env, c"KERNEL_PANIC", &format!("the libeam runtime panicked: {text}"));
            ptr::null_mut()
        }
    }
}

/// A `Uint32Array` over words of ours. The words live at least as long as the array.
pub fn view(env: sys::napi_env, words: &Words) -> Result<sys::napi_value> {
    let (first, len) = words.as_raw();
    let owner = Box::into_raw(Box::new(words.clone()));
    let mut buffer = ptr::null_mut();
    // SAFETY: `first` is valid for `len` words while `owner` lives; the finalizer frees it.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env,
            first.cast(),
            len * 4,
            Some(drop_owner),
            owner.cast(),
            &raw mut buffer,
        )
    };
    if status != sys::Status::napi_ok {
        // SAFETY: refused buffers have no finalizer, so the owner is still ours.
        drop(unsafe { Box::from_raw(owner) });
        check(status, "napi_create_external_arraybuffer")?;
    }
    typed_array(env, buffer, len)
}

unsafe extern "C" fn drop_owner(_env: sys::napi_env, _data: *mut c_void, owner: *mut c_void) {
    // SAFETY: `owner` is the box made in `view`, and a finalizer runs once.
    drop(unsafe { Box::from_raw(owner.cast::<Words>()) });
}

/// A `Uint32Array` with a copy of the words.
pub fn copy(env: sys::napi_env, words: &[u32]) -> Result<sys::napi_value> {
    let (mut data, mut buffer) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: both pointers receive results of this call.
    let status = unsafe { sys::napi_create_arraybuffer(env, words.len() * 4, &raw mut data, &raw mut buffer) };
    check(status, "napi_create_arraybuffer")?;
    if !words.is_empty() {
        // SAFETY: the new buffer has room for all words, and nobody else knows it yet.
        unsafe { ptr::copy_nonoverlapping(words.as_ptr(), data.cast(), words.len()) };
    }
    typed_array(env, buffer, words.len())
}

fn typed_array(env: sys::napi_env, buffer: sys::napi_value, len: usize) -> Result<sys::napi_value> {
    let mut array = ptr::null_mut();
    // SAFETY: `buffer` is an array buffer of `len` words.
    let status =
        unsafe { sys::napi_create_typedarray(env, sys::TypedarrayType::uint32_array, len, buffer, 0, &raw mut array) };
    check(status, "napi_create_typedarray")?;
    Ok(array)
}

/// The `data` of a function and up to `N` arguments of the call.
pub fn call_info<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> (*const c_void, [sys::napi_value; N]) {
    let mut data = ptr::null_mut();
    let mut args = [ptr::null_mut(); N];
    let mut count = N;
    // SAFETY: `info` belongs to the running call; `args` has room for `count` values.
    unsafe {
        sys::napi_get_cb_info(env, info, &raw mut count, args.as_mut_ptr(), ptr::null_mut(), &raw mut data);
    }
    (data, args)
}

/// A number argument; anything else reads as 0.
pub fn u32_argument(env: sys::napi_env, value: sys::napi_value) -> u32 {
    let mut number = 0;
    if !value.is_null() {
        // SAFETY: `value` is an argument of the running call.
        unsafe { sys::napi_get_value_uint32(env, value, &raw mut number) };
    }
    number
}

/// A string argument; anything else reads as nothing.
pub fn string_argument(env: sys::napi_env, value: sys::napi_value) -> Option<String> {
    let mut len = 0;
    // SAFETY: a null buffer asks for the length only.
    let status = unsafe { sys::napi_get_value_string_utf8(env, value, ptr::null_mut(), 0, &raw mut len) };
    if status != sys::Status::napi_ok {
        return None;
    }
    let mut bytes = vec![0_u8; len + 1];
    // SAFETY: the buffer has room for `len` bytes and the terminator that the call writes.
    unsafe {
        sys::napi_get_value_string_utf8(env, value, bytes.as_mut_ptr().cast(), bytes.len(), &raw mut len);
    }
    bytes.truncate(len);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes of a buffer argument, which nobody else uses during the running call; anything else has none.
pub fn bytes_argument<'call>(env: sys::napi_env, value: sys::napi_value) -> &'call mut [u8] {
    let (mut first, mut len) = (ptr::null_mut(), 0);
    // SAFETY: `value` is an argument of the running call.
    let status = unsafe { sys::napi_get_buffer_info(env, value, &raw mut first, &raw mut len) };
    if status != sys::Status::napi_ok || first.is_null() {
        return &mut [];
    }
    // SAFETY: the buffer has `len` bytes, and JavaScript does not run meanwhile.
    unsafe { slice::from_raw_parts_mut(first.cast(), len) }
}

/// A number as JavaScript has it.
pub fn number(env: sys::napi_env, value: f64) -> sys::napi_value {
    let mut result = ptr::null_mut();
    // SAFETY: `env` is the environment of the running call.
    unsafe { sys::napi_create_double(env, value, &raw mut result) };
    result
}

/// Throws an error with a code in the running call.
pub fn throw(env: sys::napi_env, code: &CStr, message: &str) {
    let message: Vec<u8> = message.bytes().filter(|&byte| byte != 0).chain([0]).collect();
    // SAFETY: both strings end in a zero byte and outlive the call.
    unsafe { sys::napi_throw_error(env, code.as_ptr(), message.as_ptr().cast()) };
}
