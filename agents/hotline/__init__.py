"""The 12345 hotline: text at intake, callers, and the life of work orders."""
