"""Load tests, benchmarks and peers: for who measures Holdline before a peak."""
