# Makes endpoints.json: an endpoint's models by lm, lmerTest and pbkrtest, its equivalence by t.test.
#
#     Rscript tests/unit/reference/endpoints.R tests/unit/reference/endpoints.json
#
# 30 participants of two arms, two strata, three sessions, some scores missing. "ancova": lm, with HC3 from hatvalues; "means": the
# adjusted means as predictions over the grid of strata at the mean baseline; "mixed": lmer with Kenward-Roger's t tests and the
# joint F of arm:session by KRmodcomp; "tost": one-sided t tests against the margin. The suite does not need R.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
set.seed(20200218)
n <- 30
arm <- factor(rep(c("placebo", "baclofen"), length.out = n), levels = c("placebo", "baclofen"))
stratum <- factor(sample(c("light", "heavy"), n, TRUE))
age <- sample(22:58, n, TRUE)
person <- rnorm(n, 0, 4)
y <- sapply(0:2, function(s) round(15 + 3 * (stratum == "heavy") + person - 2 * s * (arm == "baclofen") + rnorm(n, 0, 3), 2))
y[c(4, 9, 17, 23), 2] <- NA
y[c(4, 12, 17, 26), 3] <- NA
y[20, 1] <- NA

wide <- data.frame(arm, stratum, age, baseline = y[, 1], followup = y[, 2])
wide <- wide[complete.cases(wide), ]
fit <- lm(followup ~ arm + baseline + stratum + age, wide)
x <- model.matrix(fit)
bread <- solve(crossprod(x))
hc3 <- bread %*% crossprod(x * resid(fit) / (1 - hatvalues(fit))) %*% bread
number <- function(values) paste(sprintf("%.15g", values), collapse = ", ")
grid <- expand.grid(stratum = levels(stratum), arm = levels(arm))
at <- cbind(grid, baseline = mean(wide$baseline), age = mean(wide$age))
means <- tapply(predict(fit, at), at$arm, mean)
names(means) <- levels(arm)
weights <- t(sapply(levels(arm), function(a) colMeans(model.matrix(~ arm + baseline + stratum + age, at)[at$arm == a, ])))
se <- sqrt(diag(weights %*% vcov(fit) %*% t(weights)))
own <- coef(summary(fit))["armbaclofen", ]

change <- wide$followup - wide$baseline
one <- t.test(change ~ relevel(wide$arm, "baclofen"), var.equal = TRUE, mu = -3, alternative = "greater")
two <- t.test(change ~ relevel(wide$arm, "baclofen"), var.equal = TRUE, mu = 3, alternative = "less")
interval <- t.test(change ~ relevel(wide$arm, "baclofen"), var.equal = TRUE, conf.level = 0.9)$conf.int

long <- data.frame(id = factor(rep(seq_len(n), 3)), arm = rep(arm, 3), stratum = rep(stratum, 3),
  session = factor(rep(c("T1", "T2", "T3"), each = n)), score = as.vector(y))
strict <- lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14))
mixed <- lmer(score ~ arm * session + stratum + (1 | id), long, control = strict, na.action = na.omit)
stopifnot(!isSingular(mixed))
row <- coef(summary(mixed, ddf = "Kenward-Roger"))["armbaclofen:sessionT2", ]
joint <- KRmodcomp(mixed, update(mixed, . ~ . - arm:session))$test["Ftest", ]

scores <- paste0("[", apply(y, 1, function(v) paste(ifelse(is.na(v), "null", sprintf("%g", v)), collapse = ", ")), "]")
writeLines(sprintf('{"made_by": "%s",
"arm": ["%s"], "stratum": ["%s"], "age": [%s],
"scores": [%s],
"ancova": [%s], "hc3": %s, "means": {"placebo": [%s], "baclofen": [%s]},
"tost": [%s], "mixed": [%s], "joint": [%s]}',
  sprintf("%s, lme4 %s, lmerTest %s, pbkrtest %s", R.version.string, packageVersion("lme4"), packageVersion("lmerTest"),
    packageVersion("pbkrtest")),
  paste(arm, collapse = '", "'), paste(stratum, collapse = '", "'), number(age), paste(scores, collapse = ", "),
  number(c(own, df.residual(fit))), sprintf("%.15g", sqrt(hc3["armbaclofen", "armbaclofen"])),
  number(c(means["placebo"], se["placebo"])), number(c(means["baclofen"], se["baclofen"])),
  number(c(one$p.value, two$p.value, interval)),
  number(row), number(unlist(joint))), commandArgs(trailingOnly = TRUE)[1])
