//! Emits the linker settings that a Node-API addon needs, and nothing else.

fn main() {
    napi_build::setup();
}
