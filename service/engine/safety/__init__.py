"""What acts when the algorithm goes wrong: brake, dead man, safe mode, alerts."""
