"""Slack's side: what is drawn, what is heard, and how it is sent."""
