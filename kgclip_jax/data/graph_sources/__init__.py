"""Files of knowledge graphs as blocks of triples and entities in words, read as streams."""
