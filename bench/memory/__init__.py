"""Resident memory of real models: what several gears cost, and what is given back."""
