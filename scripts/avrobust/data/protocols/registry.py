"""From published lists to clips: a protocol is a function (lists, classes, options) -> clips, in a fixed order.

`lists` are paths by name. A clip has no path yet and comes from `youtube`, and its split never depends on what is
alive. The module of a protocol has OPTIONS: for each option what it can be, the default first.
"""

PROTOCOLS = {
    "released": "avrobust.data.protocols.released:clips",
    "resplit": "avrobust.data.protocols.resplit:clips",
    "music_videos": "avrobust.data.protocols.music_videos:clips",
    "kinetics": "avrobust.data.protocols.kinetics:clips",
    "crmt": "avrobust.data.protocols.kinetics:crmt_clips",
    "audioset": "avrobust.data.protocols.audioset:clips",
}

# Of protocols with too many classes to write down: a function that reads their names from a file, which the protocol
# gets as the list `class_index`.
CLASS_NAMES = {
    "audioset": "avrobust.data.protocols.audioset:class_names",
}
