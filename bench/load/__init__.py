"""Callers that ask again as soon as they are answered, for everything that can answer them."""
