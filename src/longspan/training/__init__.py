"""Fitting: the loop, its settings and history, interruption, progress, devices."""
