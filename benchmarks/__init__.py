"""Measures: latency, accuracy, the data generator. Results are kept in benchmarks/results/."""
