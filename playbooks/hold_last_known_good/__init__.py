"""Playbook hold_last_known_good; its page stands beside its module."""
