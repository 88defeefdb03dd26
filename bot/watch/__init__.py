"""The watch over a deployment: what was normal before, and whether it is worse now. Pure."""
