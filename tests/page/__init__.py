"""The page in a real browser, against a real run of the product."""
