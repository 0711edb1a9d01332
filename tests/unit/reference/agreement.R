# Makes agreement.json: intraclass correlations by irr's icc (0.84.1) and limits of agreement by SimplyAgree's agree_test (0.3.0).
#
#     Rscript tests/unit/reference/agreement.R SOURCES tests/unit/reference/agreement.json
#
# SOURCES holds the unpacked source packages irr and SimplyAgree, whose functions are read from there: of SimplyAgree without the notice that
# agree_test has a successor, so that no other package is needed. "shrout": Shrout and Fleiss 1979, table 2. "wright" and "mini": peak expiratory
# flow (L/min) of 17 people, twice by each of two meters, and "meters", the first by each (Bland and Altman 1986,
# doi 10.1016/S0140-6736(86)90837-8). "weir": eight people in two trials (Weir 2005, doi 10.1519/15184.1, data set A). The suite does not need R.
sources <- commandArgs(TRUE)[1]
read <- function(...) {
  for (file in file.path(sources, c(...))) eval(parse(text = gsub("lifecycle::deprecate_soft\\(.*\\)", "", readLines(file))), globalenv())
}
read("irr/R/icc.R", "SimplyAgree/R/other_functions.R", "SimplyAgree/R/agree_test.R")
wide <- function(k, ...) matrix(c(...), ncol = k, byrow = TRUE)
flow <- wide(4, 494, 490, 512, 525, 395, 397, 430, 415, 516, 512, 520, 508, 434, 401, 428, 444, 476, 470, 500, 500, 557, 611, 600, 625, 413, 415,
  364, 460, 442, 431, 380, 390, 650, 638, 658, 642, 433, 429, 445, 432, 417, 420, 432, 420, 656, 633, 626, 605, 267, 275, 260, 227, 478, 492, 477,
  467, 178, 165, 259, 268, 423, 372, 350, 370, 427, 421, 451, 443)
sets <- list(
  shrout = wide(4, 9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7),
  wright = flow[, 1:2], mini = flow[, 3:4], meters = flow[, c(1, 3)],
  weir = wide(2, 146, 140, 148, 152, 170, 152, 90, 99, 157, 145, 156, 153, 176, 167, 205, 218)
)
number <- function(values) paste0("[", paste(sprintf("%.15g", values), collapse = ", "), "]")
rows <- function(x) paste0("[", paste(apply(x, 1, number), collapse = ", "), "]")
parts <- vapply(names(sets), function(name) {
  x <- sets[[name]]
  correlation <- function(type) number(unlist(icc(x, "twoway", type)[c("value", "lbound", "ubound")]))
  text <- sprintf('"values": %s,\n  "consistency": %s, "agreement": %s', rows(x), correlation("consistency"), correlation("agreement"))
  if (ncol(x) == 2) {
    # Second minus first, as this project has it.
    loa <- agree_test(x = x[, 2], y = x[, 1], TOST = FALSE)$loa
    row <- function(i) number(unlist(loa[i, c("estimate", "lower.ci", "upper.ci")]))
    text <- sprintf('%s,\n  "bias": %s, "lower": %s, "upper": %s', text, row(1), row(2), row(3))
  }
  sprintf('"%s": {%s}', name, text)
}, "")
cat(sprintf("{%s}\n", paste(parts, collapse = ",\n ")), file = commandArgs(TRUE)[2])
