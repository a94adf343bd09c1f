"""Recordings of robots as tests: bags are watched, held against a truth, and the figures compared with earlier ones."""
