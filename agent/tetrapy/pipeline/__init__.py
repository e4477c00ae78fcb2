"""What happens to an event between the process table and the sinks."""
