"""A small shop on loopback, run with the real parts that are installed: something for checks to verify.

It knows nothing of the bot: what it hands over are environment variables with its addresses.
"""
