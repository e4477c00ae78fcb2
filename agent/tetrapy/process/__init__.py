"""Which process runs which image, and who started it."""
