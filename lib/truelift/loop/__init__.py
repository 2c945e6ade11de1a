"""The closed loop: lists, what people do, what it is taken to mean, the next lists, by rounds."""
