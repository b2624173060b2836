"""How a training goes down the gradient, and what it makes of a batch before it does."""

OPTIMISERS = {
    "sgd": "avrobust.training.sgd:SGD",
    "adam": "avrobust.training.adam:Adam",
}

PREPARATIONS = {
    "plain": "avrobust.training.prepare.plain:Plain",
    "mixup": "avrobust.training.prepare.mixup:Mixup",
    "curriculum": "avrobust.training.prepare.curriculum:Curriculum",
    "selected_mixup": "avrobust.training.prepare.selected_mixup:SelectedMixup",
    "unselected_mixup": "avrobust.training.prepare.unselected_mixup:UnselectedMixup",
    "adversarial": "avrobust.training.prepare.adversarial:Adversarial",
    "single_source": "avrobust.training.prepare.single_source:SingleSource",
}
