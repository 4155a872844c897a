"""What a fitted model remembers and for how long: arrays first, then JSON and a page."""
