"""Playbook refer_to_review; its page stands beside its module."""
