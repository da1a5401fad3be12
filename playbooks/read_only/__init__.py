"""Playbook read_only; its page stands beside its module."""
