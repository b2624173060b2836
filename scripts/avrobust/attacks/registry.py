"""The attacks: each is an `avrobust.attacks.loop.Attack`."""

ATTACKS = {
    "fgsm": "avrobust.attacks.fgsm:FGSM",
    "pgd": "avrobust.attacks.pgd:PGD",
    "mim": "avrobust.attacks.mim:MIM",
    "fgsm_official": "avrobust.attacks.fgsm_official:FGSM_OFFICIAL",
    "pgd_official": "avrobust.attacks.pgd_official:PGD_OFFICIAL",
    "mim_official": "avrobust.attacks.mim_official:MIM_OFFICIAL",
}
