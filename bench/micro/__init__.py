"""Google Benchmark programs of single parts of the core, and `programs`, which runs them."""
