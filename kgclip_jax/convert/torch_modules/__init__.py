"""Modules of PyTorch, to be copied into exported folders; nothing in this package imports them."""
