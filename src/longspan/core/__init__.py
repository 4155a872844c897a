"""What everything else stands on: errors, checks, seeds, random masks. It imports nothing of ours."""
