"""Data sets whose classes are described by attributes, in their authors' own files."""
