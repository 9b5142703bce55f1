"""What takes how long, and how much memory: every part in a process of its own, results beside, docs/performance.md."""
