# Makes mixed_models.json: mixed models of incomplete trials by lme4, lmerTest and pbkrtest.
#
#     Rscript tests/unit/reference/mixed_models.R tests/unit/reference/mixed_models.json
#
# "visits": three arms' F and two arms' F over three sessions with scans missing; "constrained": the same two arms with a common
# mean at baseline; "crossover": two periods; "slopes": a random slope of week beside the random intercept. Of each model and response: the
# coefficients with both kinds of degrees of freedom and the F test of the terms named. The suite does not need R.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
set.seed(20261128)
strict <- lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14, xtol_rel = 1e-12, maxeval = 100000),
  check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore")
number <- function(x) sprintf("%.15g", x)
vector <- function(x) paste0("[", paste(number(x), collapse = ", "), "]")
matrix_rows <- function(m) paste0("[", paste(apply(m, 1, vector), collapse = ", "), "]")

response_of <- function(fit, pattern) {
  rows <- grep(pattern, names(fixef(fit)))
  L <- diag(length(fixef(fit)))[rows, , drop = FALSE]
  satterthwaite <- contestMD(fit, L)
  # pbkrtest's own scaling of F and its degrees of freedom, straight from its matrices.
  adjusted <- vcovAdj(as(fit, "lmerMod"))
  kr <- pbkrtest:::KRmodcomp(as(fit, "lmerMod"), L)$stats
  variances <- as.data.frame(VarCorr(fit))
  sprintf(paste0('{"coefficients": %s, "se": %s, "se_kr": %s, "df": %s, "df_kr": %s, "variances": %s, "log_likelihood": %s, ',
    '"singular": %s, "f": %s, "df2": %s, "f_kr": %s, "df2_kr": %s, "p_kr": %s}'),
    vector(fixef(fit)), vector(sqrt(diag(as.matrix(vcov(fit))))), vector(sqrt(diag(as.matrix(adjusted)))),
    vector(coef(summary(fit))[, "df"]), vector(coef(summary(fit, ddf = "Kenward-Roger"))[, "df"]),
    vector(variances$vcov), number(as.numeric(logLik(fit))), tolower(isSingular(fit)),
    number(satterthwaite[["F value"]]), number(satterthwaite[["DenDF"]]),
    number(kr$Fstat), number(kr$ddf), number(kr$p.value))
}

case <- function(name, rows, formula, responses, pattern) {
  rows$id <- factor(rows$id)
  fits <- lapply(seq_len(ncol(responses)), function(k) {
    rows$y <- responses[, k]
    response_of(lmer(formula, rows, control = strict), pattern)
  })
  rows$y <- responses[, 1]
  fixed <- model.matrix(nobars(formula), rows)
  sprintf('"%s": {"formula": "%s", "tested": [%s], "participants": [%s], "design": %s, "responses": %s, "fits": [%s]}', name,
    paste(deparse(formula), collapse = ""), paste(grep(pattern, colnames(fixed)) - 1, collapse = ", "),
    paste(rows$id, collapse = ", "), matrix_rows(unname(fixed)), matrix_rows(t(responses)), paste(fits, collapse = ",\n"))
}

scans <- function(people, sessions, arms, missing) {
  rows <- expand.grid(session = seq_len(sessions) - 1, id = seq_len(people))
  rows$arm <- arms[rows$id]
  rows[-missing, ]
}
draw <- function(rows, between, within, number) sapply(seq_len(number), function(k)
  round(50 + rnorm(max(rows$id), 0, between[k])[rows$id] + rnorm(nrow(rows), 0, within), 4))

two <- scans(15, 3, rep(c("drug", "placebo"), c(6, 9)), c(2, 9, 12, 13, 24, 26, 27, 34, 41))
two$arm <- factor(two$arm, levels = c("placebo", "drug"))
two$visit <- factor(two$session)
two$week <- two$session
values <- draw(two, c(8, 5, 3, 0, 0), 5, 5)
values[, 2] <- values[, 2] - 6 * (two$arm == "drug") * (two$session == 2)
three <- scans(16, 3, rep(c("high", "low", "placebo"), c(5, 5, 6)), c(3, 8, 17, 22, 30, 31, 36, 40, 47))
three$arm <- factor(three$arm, levels = c("placebo", "low", "high"))
three$visit <- factor(three$session)
of_three <- draw(three, c(8, 4, 0), 5, 3)
two$drug1 <- as.numeric(two$arm == "drug" & two$session == 1)
two$drug2 <- as.numeric(two$arm == "drug" & two$session == 2)
cross <- scans(13, 2, rep(c("AB", "BA"), c(6, 7)), c(2, 9, 24))
cross$period <- factor(cross$session)
cross$drug <- factor(ifelse((cross$arm == "AB") == (cross$session == 0), "drug", "placebo"), levels = c("placebo", "drug"))
crossed <- draw(cross, c(8, 4, 0), 4, 3)
weeks <- scans(14, 5, rep(c("drug", "placebo"), c(7, 7)), c(2, 9, 15, 23, 24, 25, 38, 45, 50, 61, 70))
weeks$arm <- factor(weeks$arm, levels = c("placebo", "drug"))
weeks$week <- c(0, 1, 2, 4, 8)[weeks$session + 1]
sloped <- sapply(c(1.2, .8, 0), function(slope) round(40 + rnorm(14, 0, 6)[weeks$id] +
  rnorm(14, 0, slope)[weeks$id] * weeks$week + rnorm(nrow(weeks), 0, 3), 4))

made_by <- sprintf("%s, lme4 %s, lmerTest %s, pbkrtest %s", R.version.string, packageVersion("lme4"),
  packageVersion("lmerTest"), packageVersion("pbkrtest"))
cases <- c(
  case("visits", two, y ~ arm * visit + (1 | id), values, ":"),
  case("arms", three, y ~ arm * visit + (1 | id), of_three, ":"),
  case("constrained", two, y ~ visit + drug1 + drug2 + (1 | id), values, "^drug"),
  case("crossover", cross, y ~ drug + period + (1 | id), crossed, "^drug"),
  case("slopes", weeks, y ~ arm * week + (1 + week | id), sloped, ":"))
writeLines(sprintf('{"made_by": "%s",\n%s}', made_by, paste(cases, collapse = ",\n")), commandArgs(trailingOnly = TRUE)[1])
