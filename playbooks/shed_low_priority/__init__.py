"""Playbook shed_low_priority; its page stands beside its module."""
