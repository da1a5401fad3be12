"""Properties, state machines and faults."""
