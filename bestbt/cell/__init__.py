"""Turn a notebook cell into a strategy: check, compile, find it."""
