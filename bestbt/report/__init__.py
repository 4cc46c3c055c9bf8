"""Statistics and tables of a run; pandas enters here."""
