# Reference for tests/unit/statistics/test_trial_power.py: R's own power of a two-sample t test, of changes and of follow-up alone.
# Rscript power.R > power.json
cells <- expand.grid(n = c(6, 12, 21, 40), rho = c(.1, .5, .7, .9), sd = c(4, 11), effect = c(3, 7.5))
one <- function(n, rho, sd, effect) {
  change <- power.t.test(n = n, delta = effect, sd = sd * sqrt(2 * (1 - rho)), strict = TRUE)$power
  followup <- power.t.test(n = n, delta = effect, sd = sd, strict = TRUE)$power
  sprintf('{"n": %d, "rho": %s, "sd": %s, "effect": %s, "change": %.10f, "followup": %.10f}', n, rho, sd, effect, change, followup)
}
rows <- mapply(one, cells$n, cells$rho, cells$sd, cells$effect)
needed <- ceiling(power.t.test(power = .8, delta = 5, sd = 11 * sqrt(2 * (1 - .7)), strict = TRUE)$n)
cat('{"version": "', R.version.string, '", "needed": ', needed, ', "cells": [\n', paste(rows, collapse = ",\n"), '\n]}\n', sep = "")
