"""Replays of whole logs, checked by an oracle in SQL that was written from the rules alone."""
