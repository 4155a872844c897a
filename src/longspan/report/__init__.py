"""Figures and the report page, from plain arrays and small records; it knows no model."""
