//! What tests and fuzz targets need to drive a kernel without a JavaScript engine.
