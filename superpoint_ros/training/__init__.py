"""Make weights: data sets, losses, recipes, the training loop."""
