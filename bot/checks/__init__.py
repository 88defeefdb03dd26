"""Checks by machine: the kinds, the engine that runs them, and what keeps both from doing harm."""
