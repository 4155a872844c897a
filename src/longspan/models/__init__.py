"""Assembled networks: what they read, how they are designed, trained and asked."""
