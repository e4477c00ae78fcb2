"""Pure readers of the binary interface between the BPF objects and Python: ELF, BTF, layouts."""
