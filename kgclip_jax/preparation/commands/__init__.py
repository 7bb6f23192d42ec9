"""What `launch/prepare.py` can do: a file for each command."""
