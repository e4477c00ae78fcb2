"""The one room with native code: libbpf, kernel objects, buffers, probes, and the bundle."""
