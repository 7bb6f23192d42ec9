"""What is minimised: one file per objective, each with its formula and source."""
