"""Experiments that answer a question: networks compared on your data, and published results run again."""
