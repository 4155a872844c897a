"""How good forecasts are, from plain arrays."""
