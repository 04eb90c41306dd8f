"""Information planes."""
