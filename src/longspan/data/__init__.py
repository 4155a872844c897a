"""From any table to windows: readers, panels on a regular time grid, and the registry of public data sets."""
