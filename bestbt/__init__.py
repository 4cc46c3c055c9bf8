"""A backtester for people who trade options and think in notebooks."""
