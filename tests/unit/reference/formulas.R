# F tests of formulas by R alone: type III sums of squares with sum-to-zero contrasts compare marginal means that count
# each combination of the other factors' levels alike. Unbalanced data, numbers centred.
# Rscript formulas.R > formulas.tsv
options(contrasts = c("contr.sum", "contr.poly"), digits = 15)
data <- data.frame(
  arm = factor(c("placebo", "low", "high", "placebo", "low", "high", "placebo", "high", "placebo", "low", "low", "high",
                 "placebo", "placebo", "low", "high", "high", "placebo")),
  genotype = factor(c("a", "a", "a", "b", "b", "b", "a", "a", "b", "b", "a", "b", "a", "a", "b", "a", "b", "b")),
  age = c(31, 45, 28, 52, 39, 60, 33, 41, 29, 47, 36, 55, 44, 38, 50, 27, 35, 58),
  y = c(1.2, 3.4, 5.1, 0.3, 2.2, 7.9, 1.1, 4.4, -0.5, 3.8, 2.9, 8.8, 0.2, 1.9, 3.3, 4.1, 6.5, 1.0)
)
data$age <- data$age - mean(data$age)
cat("formula\tterm\tdf\tdf_residual\tF\n")
one <- function(formula, name) {
  fit <- lm(formula, data)
  type3 <- drop1(fit, . ~ ., test = "F")
  for (term in rownames(type3)[-1])
    cat(sprintf("%s\t%s\t%d\t%d\t%.12f\n", name, term, type3[term, "Df"], fit$df.residual, type3[term, "F value"]))
}
one(y ~ arm * genotype + age, "arm * genotype + age")
one(y ~ arm * age + genotype, "arm * age + genotype")
one(y ~ arm + genotype + poly(age, 2), "arm + genotype + poly(age, 2)")
one(y ~ arm * genotype * age, "arm * genotype * age")
# A trend and a pair, by coefficients of cell means.
cells <- lm(y ~ 0 + arm + genotype + age, data)
test <- function(weights, name) {
  estimate <- sum(weights * coef(cells)[1:3])
  variance <- t(weights) %*% vcov(cells)[1:3, 1:3] %*% weights
  cat(sprintf("%s\t%s\t1\t%d\t%.12f\n", "arm + genotype + age", name, cells$df.residual, estimate^2 / variance))
}
test(c(1, 0, -1), "high - placebo")  # levels: high, low, placebo
test(c(1, -2, 1), "curve")
