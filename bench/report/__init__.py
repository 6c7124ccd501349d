"""Turns results into a page: `python -m bench.report build/bench/results.json`."""
