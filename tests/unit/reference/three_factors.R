# Makes three_factors.json: models of three factors of simulated ratings by lme4, lmerTest and pbkrtest.
#
#     Rscript tests/unit/reference/three_factors.R tests/unit/reference/three_factors.json
#
# Two arms, two sessions, two occasions, complete; variance between participants, of participant by session and of
# participant by occasion. "both" has one covariance for both arms; "drug" and "placebo" are fits of one arm alone.
# "welch" is t.test of each person's double difference. The suite does not need R.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
set.seed(20200218)

simulate_ratings <- function(n, spread) {
  rows <- expand.grid(occasion = 0:1, session = 0:1, id = seq_len(sum(n)))
  rows$arm <- as.numeric(rows$id <= n[1])
  size <- ifelse(rows$arm == 1, spread, 1)
  person <- rnorm(sum(n), 0, 10)[rows$id]
  by_session <- rnorm(2 * sum(n), 0, 6)[2 * (rows$id - 1) + rows$session + 1]
  by_occasion <- rnorm(2 * sum(n), 0, 5)[2 * (rows$id - 1) + rows$occasion + 1]
  rows$y <- round(30 + 15 * rows$occasion - 8 * rows$arm * rows$session * rows$occasion +
    size * (person + by_session + by_occasion + rnorm(nrow(rows), 0, 4)), 3)
  rows$id <- factor(rows$id)
  rows
}

terms_of <- function(fit, names) {
  table <- coef(summary(fit, ddf = "Kenward-Roger"))
  lines <- sprintf('"%s": [%.15g, %.15g, %.15g, %.15g, %.15g]', names, table[names, "Estimate"],
    table[names, "Std. Error"], table[names, "df"], table[names, "t value"], table[names, "Pr(>|t|)"])
  paste0("{", paste(lines, collapse = ", "), "}")
}

case <- function(n, spread) {
  rows <- simulate_ratings(n, spread)
  full <- y ~ arm * session * occasion + (1 | id) + (1 | id:session) + (1 | id:occasion)
  own <- y ~ session * occasion + (1 | id) + (1 | id:session) + (1 | id:occasion)
  strict <- lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14))
  both <- lmer(full, rows, control = strict)
  arms <- lapply(c(1, 0), function(a) lmer(own, rows[rows$arm == a, ], control = strict))
  stopifnot(!isSingular(both), !isSingular(arms[[1]]), !isSingular(arms[[2]]))
  scores <- matrix(rows$y, ncol = 4, byrow = TRUE)
  double <- scores[, 4] - scores[, 3] - scores[, 2] + scores[, 1]
  test <- t.test(double[seq_len(n[1])], double[-seq_len(n[1])])
  sprintf('{"n": [%d, %d], "ratings": [%s], "both": %s, "drug": %s, "placebo": %s, "welch": [%.15g, %.15g, %.15g]}',
    n[1], n[2], paste(sprintf("%g", rows$y), collapse = ", "),
    terms_of(both, c("session:occasion", "arm:session:occasion")), terms_of(arms[[1]], "session:occasion"),
    terms_of(arms[[2]], "session:occasion"), test$statistic, test$parameter, test$p.value)
}

made_by <- sprintf("%s, lme4 %s, lmerTest %s, pbkrtest %s", R.version.string, packageVersion("lme4"),
  packageVersion("lmerTest"), packageVersion("pbkrtest"))
cases <- c(case(c(12, 12), 1), case(c(9, 15), sqrt(3)))
writeLines(sprintf('{"made_by": "%s", "cases": [%s]}', made_by, paste(cases, collapse = ",\n")),
  commandArgs(trailingOnly = TRUE)[1])
