"""Dated facts of exchanges, their symbols, and the synthetic market."""
