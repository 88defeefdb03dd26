"""The kinds of checks, one module a family: dropping a file in adds its kinds (`KINDS`)."""
