"""A live server, over the wire."""
