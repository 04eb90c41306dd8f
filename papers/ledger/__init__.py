"""Claims, their conditions, the rule that judges them, and the freeze of its thresholds; it knows numbers, and no experiment."""
