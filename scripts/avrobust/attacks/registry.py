"""The attacks: each is a function whose keyword arguments are its options, and that returns an Attack."""

ATTACKS = {
    "fgsm": "avrobust.attacks.fgsm:fgsm",
    "pgd": "avrobust.attacks.pgd:pgd",
    "mim": "avrobust.attacks.mim:mim",
    "fgsm_official": "avrobust.attacks.fgsm_official:fgsm_official",
    "mim_official": "avrobust.attacks.mim_official:mim_official",
    "i_fgsm": "avrobust.attacks.i_fgsm:i_fgsm",
    "mi_fgsm": "avrobust.attacks.mi_fgsm:mi_fgsm",
    "ni_fgsm": "avrobust.attacks.ni_fgsm:ni_fgsm",
    "pgd_random": "avrobust.attacks.pgd_random:pgd_random",
    "pgd_shifted": "avrobust.attacks.pgd_shifted:pgd_shifted",
    "mig": "avrobust.attacks.mig:mig",
    "pam": "avrobust.attacks.pam:pam",
    "tia": "avrobust.attacks.tia:tia",
    "mma": "avrobust.attacks.mma:mma",
    "tma": "avrobust.attacks.tma:tma",
    "fgsm_masked": "avrobust.attacks.fgsm_masked:fgsm_masked",
    "masked": "avrobust.attacks.masked:masked",
    "random_sign": "avrobust.attacks.random_sign:random_sign",
}
