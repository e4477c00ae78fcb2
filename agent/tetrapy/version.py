"""The one place that states the version of tetrapy."""

__version__ = "0.1.0"
