"""Where exported lines go."""
