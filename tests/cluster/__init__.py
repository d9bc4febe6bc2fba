"""Tests on a real SLURM, brought up on one machine."""
