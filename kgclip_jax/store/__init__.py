"""Runs on disk: their folders and checkpoints, and the trained models that these hold."""
