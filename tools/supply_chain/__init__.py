"""What lets others trust the files of a release: sums, bills of materials, a signature."""
