"""One file a version. The newest is what `schema.py` says."""
