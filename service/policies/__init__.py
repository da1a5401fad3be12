"""Policies for analysts: the document's shape, its checks, its compiler, and the reference policies."""
