"""Ways of running a cell over time: the loop that defines it, and faster ones held to it."""
