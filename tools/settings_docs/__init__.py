"""Documents, completions and types that are written from the table of settings."""
