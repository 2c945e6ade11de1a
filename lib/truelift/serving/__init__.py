"""A packaged sequence model that answers: ranked items for histories, in Spark tasks and as a pyfunc."""
