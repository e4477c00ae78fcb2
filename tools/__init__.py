"""What builds and tests tetrapy; nothing of it goes into the file that users run.

Run from the root of the repository: `python3 -m tools.<module>`.
"""
