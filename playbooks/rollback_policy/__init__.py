"""Playbook rollback_policy; its page stands beside its module."""
