"""A real Apache Kafka for the tests, and the tests that need one."""
