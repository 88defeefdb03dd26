"""PostgreSQL for checks: addresses, read-only sessions, what its statistics mean, PgBouncer's console."""
