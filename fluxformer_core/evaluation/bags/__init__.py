"""Evaluation on bags: recordings of robots are compared with a truth, and the figures with earlier figures."""
