"""The commands of `hookline`, one module a family."""
