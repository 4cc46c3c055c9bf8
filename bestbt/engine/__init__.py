"""Pure simulation: numpy only, no pandas, no database, no notebook."""
