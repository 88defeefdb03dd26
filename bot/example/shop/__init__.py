"""The shop itself: a process of its own, which knows nothing of what is around it but addresses."""
