"""Names of what is measured of the classes of a net: Li et al. (ICASSP 2022), section 4."""

# Per cent of a class's clips within the inner radius of a density rho<tau>.
TAUS = (60, 80)
# When a point between two clips counts as of their class.
KAPPAS = {
    "kappa_argmax": "the largest logit",
    "kappa_01": "a probability of 0.1",
    "kappa_05": "a probability of 0.5",
    "kappa_01_released": "a probability of 0.1, with the released code's pairs",
}
# Which of these is taken where nothing is said, by the task of the net: a clip is of one class, or of any number.
KAPPA = {"single": "kappa_argmax", "multiple": "kappa_01"}
