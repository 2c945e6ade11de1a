"""TARNet and DragonNet, one network for all folds: arithmetic, without files and without Spark."""
