"""Benchmarks of dynbatch beside what people use without it. See README.md beside this file."""
