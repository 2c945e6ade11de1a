"""From sums by cluster, estimates and their covariance to intervals, bands, tests and plans."""
