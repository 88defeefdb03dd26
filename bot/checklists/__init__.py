"""Markdown files to checklists, with what could not be used and where."""
