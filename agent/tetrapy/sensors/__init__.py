"""What is loaded into the kernel and attached, and the life cycle of that."""
