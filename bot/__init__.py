"""Deploybot: takes a team through a production deployment, in Slack."""

__version__ = "0.1.0"
