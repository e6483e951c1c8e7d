"""Measures models honestly: verification, word error rate, copy synthesis, speed."""
