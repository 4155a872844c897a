"""How fast the layers are on this machine, beside torch's, each figure behind a gate of correctness."""
