"""Long runs whose figures have bounds: waiting times, memory, idle CPU time, what closing costs."""
