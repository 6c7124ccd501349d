"""Gears that are compiled into a model, through `dynbatch.acl` and `GearModel`."""
