"""Playbook cap_growth; its page stands beside its module."""
