"""Peers that Holdline is measured against in the same run."""
