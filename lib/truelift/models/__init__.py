"""Arithmetic of models; no files, no Spark."""
