"""Where exported lines go: files that rotate, standard output, FIFOs and devices."""
