"""Playbook static_scorecard; its page stands beside its module."""
