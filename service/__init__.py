"""Holdline: durable, explained credit-limit decisions over gRPC."""
