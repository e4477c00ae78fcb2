"""Which BTF describes the running kernel: discovery, the embedded archive, private files."""
