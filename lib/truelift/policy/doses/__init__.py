"""Values of policies whose action is a number: prices, discounts, minutes; by kernels over the dose."""
