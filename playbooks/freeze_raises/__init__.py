"""Playbook freeze_raises; its page stands beside its module."""
