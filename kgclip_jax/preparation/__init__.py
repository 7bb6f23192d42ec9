"""Data made ready once, by offline programs that stop and go on at will: shards, scene graphs."""
