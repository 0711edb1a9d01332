# Makes repeatability.json: intraclass correlations with their intervals by psych's ICC, and R's own tests of the rest.
#
#     Rscript tests/unit/reference/repeatability.R tests/unit/reference/repeatability.json
#
# "shrout": the six targets and four judges of Shrout and Fleiss 1979, table 2. "two": 11 people in two sessions. Of "two" the
# within-person standard deviation is that of lm's residuals, the bias t.test's, the limits of agreement by quantiles of the noncentral t
# (qt with ncp). The suite does not need R.
suppressMessages(library(psych))
number <- function(values) paste(sprintf("%.15g", values), collapse = ", ")
rows <- function(x) paste(apply(x, 1, function(row) sprintf("[%s]", number(row))), collapse = ", ")
correlations <- function(x) {
  found <- ICC(x, lmer = FALSE)$results
  named <- function(type) {
    row <- found[found$type == type, ]
    sprintf("[%s]", number(c(row$ICC, row[["lower bound"]], row[["upper bound"]])))
  }
  sprintf('"icc2": %s, "icc3": %s', named("ICC2"), named("ICC3"))
}
shrout <- matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7), ncol = 4, byrow = TRUE)
set.seed(20200218)
n <- 11
two <- round(50 + rnorm(n, 0, 9) + matrix(rnorm(2 * n, 0, 6), n) + rep(c(0, 3), each = n), 2)
long <- data.frame(y = as.vector(two), person = factor(rep(seq_len(n), 2)), session = factor(rep(1:2, each = n)))
within <- function(y) {
  fit <- lm(y ~ person + session, cbind(long, y = y)[, -1])
  df <- df.residual(fit)
  s <- sqrt(sum(resid(fit)^2) / df)
  c(s, s * sqrt(df / qchisq(c(.975, .025), df)))
}
sd_log <- within(log(long$y))
change <- two[, 2] - two[, 1]
bias <- t.test(change)
limit <- qt(c(.025, .975), n - 1, ncp = 1.96 * sqrt(n)) * sd(change) / sqrt(n)
cat(sprintf('{"shrout": {"values": [%s], %s},\n "two": {"values": [%s], %s,\n  "within_sd": [%s], "within_cv": [%s],\n  "bias": [%s], "upper": [%s], "lower": [%s]}}\n',
  rows(shrout), correlations(shrout), rows(two), correlations(two), number(within(long$y)), number(sqrt(exp(sd_log^2) - 1)),
  number(c(bias$estimate, bias$conf.int)), number(mean(change) + c(1.96 * sd(change), limit)),
  number(mean(change) - c(1.96 * sd(change), rev(limit)))), file = commandArgs(TRUE)[1])
