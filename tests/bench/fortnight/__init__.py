"""A fortnight of a city in which every sign and every incident is driven to each of its levels."""
