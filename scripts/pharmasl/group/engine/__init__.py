"""The tests over the brain: linear models, relabellings, clusters, threshold-free enhancement."""
