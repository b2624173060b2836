"""PGD as the released code of Tian & Xu does it, which is PGD: the named twin lets a table show both."""

from avrobust.attacks.pgd import PGD as PGD_OFFICIAL

__all__ = ["PGD_OFFICIAL"]
