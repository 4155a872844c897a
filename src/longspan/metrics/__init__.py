"""Scores over plain arrays: of points and of quantiles. An unknown actual is NaN and never counted."""
