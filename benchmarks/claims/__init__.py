"""The claims of the source study, judged on runs: a statistic, its interval and a verdict for each."""
