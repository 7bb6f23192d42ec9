"""Knowledge graphs of any size: memory-mapped columns, filtered negatives, neighbourhoods."""
