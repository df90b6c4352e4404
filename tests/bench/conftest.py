"""Peers run in environments of their own: here they can not be imported."""

collect_ignore_glob = ["peers/*.py"]
