"""Statistics with numpy and scipy alone: intervals, tests, corrections, power and psychometric fits."""
