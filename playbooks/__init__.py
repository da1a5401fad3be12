"""Playbooks: versioned fallback modes for the on-call engineer."""
