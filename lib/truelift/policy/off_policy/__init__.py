"""What a policy would earn, from the log of another: off-policy values with clustered intervals."""
