"""What the rules ask the package for: the plan, the paths, the running of a job."""
