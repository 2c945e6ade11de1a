"""Neural nuisances: TARNet and DragonNet, all folds' models in one network."""
