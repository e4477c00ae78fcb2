"""tetrapy: security observability for Linux, in one file."""
