"""Documents and completions that are written from the table of settings."""
