"""What national standards say in numbers: dated tables and limits, with where each was read."""
