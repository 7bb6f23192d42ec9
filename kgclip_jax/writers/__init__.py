"""Where the numbers of a run go: a file, TensorBoard, services."""
