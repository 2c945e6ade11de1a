"""What to do under a budget: the whole path of spend and gain, and its intervals."""
