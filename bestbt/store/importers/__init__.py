"""One file per vendor format."""
