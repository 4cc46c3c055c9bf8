"""What is seen under a cell; one file per view."""
