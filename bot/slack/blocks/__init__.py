"""Block Kit drawings of stored state: pure functions from values to blocks."""
