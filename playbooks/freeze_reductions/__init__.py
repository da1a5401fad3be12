"""Playbook freeze_reductions; its page stands beside its module."""
