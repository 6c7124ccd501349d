"""Kernels that gather padded batches and take them apart, beside memcpy, NumPy and torch."""
