"""How a net sees a clip: a name stands for a class whose keyword arguments are the view's options.

What a view has to have is said in `avrobust.views.view`.
"""

VIEWS = {
    "moment": "avrobust.views.moment:Moment",
    "clip": "avrobust.views.clip:ClipView",
    "features": "avrobust.views.features:Features",
}
