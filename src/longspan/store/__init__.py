"""How models and checkpoints are kept: safetensors and JSON, whole or not at all, no pickle."""
