"""The gateway: a city's vital signs and alerts over HTTP, in a process of its own."""
