"""Guests: stock kernels of other releases, booted in QEMU without hardware virtualization.

`kernels` knows which (tests/vm/kernels.toml) and makes them bootable, `root` builds the one root
file system they share, `qemu` boots one with a script and files and brings back what it left.
"""
