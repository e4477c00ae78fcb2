"""The agent: wires settings, sensor, process table and sink together."""
