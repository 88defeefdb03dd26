"""Where facts, projections and posts are kept."""
