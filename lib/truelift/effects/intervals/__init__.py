"""From estimates and their covariance to bands, contrasts, tests, ratios and plans."""
