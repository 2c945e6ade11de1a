"""What a treatment does to an outcome's distribution beside its mean: quantiles, tails, means without tails."""
