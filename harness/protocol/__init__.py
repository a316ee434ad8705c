"""Formats on the wire and on disk: pure functions over bytes. The standard library is enough."""
