"""Benchmarks of Hudhud on this machine, compared with its goals: `make bench`."""
