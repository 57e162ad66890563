"""What `scripts/bench` measures, and how. The modules run as parts of several processes; see `cli`."""
