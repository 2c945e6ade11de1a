"""Plots and the HTML report, made from the result objects of the other rooms."""
