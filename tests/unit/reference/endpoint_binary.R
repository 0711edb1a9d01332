# Makes endpoint_binary.json: an endpoint of two values by glm, and risks standardised over the participants.
#
#     Rscript tests/unit/reference/endpoint_binary.R tests/unit/reference/endpoint_binary.json
#
# 60 participants of two arms, two strata, ages, some values missing. "logit": the arm's log odds ratio, its standard error, z, and p of the
# likelihood ratio (anova); "risks": the mean predicted risk of each arm and the difference, with standard errors by the delta method
# (derivatives taken numerically). The suite does not need R.
set.seed(20200218)
n <- 60
arm <- factor(rep(c("placebo", "baclofen"), length.out = n), levels = c("placebo", "baclofen"))
stratum <- factor(sample(c("light", "heavy"), n, TRUE))
age <- sample(22:58, n, TRUE)
y <- rbinom(n, 1, plogis(-1 + 1.2 * (arm == "baclofen") + 0.8 * (stratum == "light") + 0.02 * (age - 40)))
y[c(7, 18, 31)] <- NA
d <- na.omit(data.frame(arm, stratum, age, y))
strict <- glm.control(epsilon = 1e-14, maxit = 100)
fit <- glm(y ~ arm + stratum + age, binomial, d, control = strict)
less <- glm(y ~ stratum + age, binomial, d, control = strict)
own <- coef(summary(fit))["armbaclofen", 1:3]
p <- anova(less, fit, test = "LRT")[2, "Pr(>Chi)"]
risk <- function(beta, a) mean(plogis(model.matrix(~ arm + stratum + age, transform(d, arm = factor(a, levels(arm)))) %*% beta))
effects <- list(placebo = function(b) risk(b, "placebo"), baclofen = function(b) risk(b, "baclofen"),
  difference = function(b) risk(b, "baclofen") - risk(b, "placebo"))
standard <- sapply(effects, function(f) {
  steps <- sapply(seq_along(coef(fit)), function(k) {
    h <- 1e-5 * max(abs(coef(fit)[k]), 1e-2)
    up <- down <- coef(fit); up[k] <- up[k] + h; down[k] <- down[k] - h
    (f(up) - f(down)) / (2 * h)
  })
  c(f(coef(fit)), sqrt(drop(t(steps) %*% vcov(fit) %*% steps)))
})
number <- function(values) paste(sprintf("%.15g", values), collapse = ", ")
writeLines(sprintf('{"made_by": "%s",
"arm": ["%s"], "stratum": ["%s"], "age": [%s], "score": [%s],
"logit": [%s], "risks": {"placebo": [%s], "baclofen": [%s], "difference": [%s]}}', R.version.string,
  paste(arm, collapse = '", "'), paste(stratum, collapse = '", "'), number(age),
  paste(ifelse(is.na(y), "null", y), collapse = ", "), number(c(own, p)), number(standard[, 1]), number(standard[, 2]),
  number(standard[, 3])), commandArgs(trailingOnly = TRUE)[1])
