"""What the documentation says about the code, taken from the code."""
