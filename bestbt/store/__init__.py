"""Where prices and runs live; SQLAlchemy stays here."""
