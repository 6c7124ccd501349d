"""Programs that measure the core from C++, and `programs`, which runs them."""
