"""The compact notation of a paper's files: what is written, and by hand what it stands for."""

import re

import pytest

from avrobust.spec.notation import (
    NotationError,
    artefacts,
    attacks,
    braced,
    choices,
    claims,
    comparisons,
    label,
    rows,
    sensitivity,
    variants,
)

LABELS = {
    "dataset": {"music": "MUSIC", "ave": "AVE"},
    "net": {"of": "variant", "concat": "Concat", "sum": "Sum"},
    "attack": {"fgsm": "FGSM", "pgd": "PGD"},
    "column": {"X_A": "✗A"},
}
TABLE = {
    "kind": "table",
    "title": "Table 9",
    "caption": "By hand.",
    "keys": ["dataset", "net", "attack"],
    "rows": {"dataset": "music", "variant": "sum", "attack": "pgd"},
    "columns": {"X_A": "audio@large"},
}
TWINS = {
    "hard": {"said": "by another loss", "note": "harder", "attacks": {"fgsm": "fgsm_ce"}, "of": ["minsim"]},
    "released": {"said": "as released", "note": "leaves the ball", "attacks": {"mim": "mim_official"}},
    "longer": {"said": "trained on", "note": "a control", "lower": {"concat": "concat_continued"}},
}


def spec(**changes: object) -> dict:
    """Return what a table stands for."""
    return artefacts({"table9": TABLE | changes}, LABELS)["table9"]["spec"]


def columns(**told: str) -> list[dict]:
    return spec(columns=told)["columns"]


def test_lists_are_factors_and_the_first_is_the_slowest() -> None:
    block = {"dataset": ["music", "ave"], "variant": "concat", "attack": ["fgsm", "pgd"], "ours_only": True}
    assert list(rows(block)) == [
        {"dataset": "music", "variant": "concat", "attack": "fgsm", "ours_only": True},
        {"dataset": "music", "variant": "concat", "attack": "pgd", "ours_only": True},
        {"dataset": "ave", "variant": "concat", "attack": "fgsm", "ours_only": True},
        {"dataset": "ave", "variant": "concat", "attack": "pgd", "ours_only": True},
    ]


def test_rows_inside_rows_inherit_and_stand_below_each_value_of_what_is_outside() -> None:
    inside = [{"attack": ["fgsm", "pgd"]}, {"attack": "mim", "variant": "sum"}]
    block = [{"dataset": ["music", "ave"], "variant": "concat", "rows": inside}, {"dataset": "ave", "attack": "none"}]
    found = [(row["dataset"], row.get("variant"), row["attack"]) for row in rows(block)]
    assert found == [
        *((name, *rest) for name in ("music", "ave")
          for rest in (("concat", "fgsm"), ("concat", "pgd"), ("sum", "mim"))),
        ("ave", None, "none"),
    ]  # fmt: skip


def test_braces_are_factors_and_the_first_is_the_slowest() -> None:
    assert braced("{a, b}.x > {c,d}.y") == ["a.x > c.y", "a.x > d.y", "b.x > c.y", "b.x > d.y"]
    assert braced("a.x > 0.5") == ["a.x > 0.5"]


def test_a_table_has_a_row_of_each_of_its_nets_under_any_of_its_attacks() -> None:
    """Behind all rows of the same clips, each net once, in the order in which it comes; none of it is published."""
    known = {**LABELS, "attack": {**LABELS["attack"], "pgd of sum": "PGD, transferred from Sum", "any": "Any"}}
    nets = [{"variant": ["sum", "concat"], "attack": "fgsm"}, {"surrogate": "sum", "victim": "concat", "attack": "pgd"}]
    told = {"rows": [{"dataset": ["music", "ave"], "rows": nets}], "any": ["fgsm", "sum/pgd"]}
    made = artefacts({"table9": TABLE | told}, known)["table9"]["spec"]
    assert made["any"] == [
        {"attack": "fgsm", "name": "FGSM"},
        {"surrogate": "sum", "attack": "pgd", "name": "PGD, transferred from Sum"},
    ]
    assert [(*row["keys"].values(), row.get("ours_only", False)) for row in made["rows"]] == [
        (dataset, *row)
        for dataset in ("MUSIC", "AVE")
        for row in (
            ("Sum", "FGSM", False), ("Concat", "FGSM", False), ("Concat", "PGD, transferred from Sum", False),
            ("Sum", "Any", True), ("Concat", "Any", True),
        )
    ]  # fmt: skip
    assert made["rows"][3]["read"] == {"dataset": "music", "variant": "sum", "attack": "any"}
    unseen = {**TABLE, "rows": {**TABLE["rows"], "clips": "unseen"}, "any": ["fgsm", "pgd"]}
    *_, last = artefacts({"table9": unseen}, known)["table9"]["spec"]["rows"]
    assert last["read"] == {"dataset": "music", "clips": "unseen", "variant": "sum", "attack": "any"}
    assert "any" not in spec()


@pytest.mark.parametrize(
    ("any_of", "said"),
    [
        (["a/b/fgsm"], "any: 'a/b/fgsm' is neither an attack nor net/attack"),
        (["/fgsm"], "any: '/fgsm' is neither an attack nor net/attack"),
        (["mim"], "'mim' is none of labels.attack: fgsm, pgd"),
        (["concat/fgsm"], "'fgsm of concat' is none of labels.attack: fgsm, pgd"),
        (["fgsm"], "'any' is none of labels.attack: fgsm, pgd"),
    ],
)
def test_mistakes_in_any_attack_are_named(any_of: list[str], said: str) -> None:
    with pytest.raises(NotationError, match=re.escape(f"artefacts.table9: {said}")):
        spec(any=any_of)


def test_a_table_has_keys_of_labels_and_reads_names() -> None:
    row = {"dataset": "ave", "clips": "unseen", "variant": "concat", "attack": "pgd"}
    more = {"against": {"attack": "fgsm"}, "printed_as": {"attack": "FGSM"}, "ours_only": True}
    assert spec(rows=[row | more])["rows"] == [
        {"keys": {"dataset": "AVE unseen", "net": "Concat", "attack": "PGD"}, "read": row, **more}
    ]
    own = spec(labels={"net": {"sum": "Ours"}})
    assert own["rows"][0]["keys"] == {"dataset": "MUSIC", "net": "Ours", "attack": "PGD"}
    assert spec()["rows"][0]["keys"]["net"] == "Sum"
    assert {part: own[part] for part in ("title", "caption", "keys")} == {
        "title": "Table 9", "caption": "By hand.", "keys": ["dataset", "net", "attack"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("clean", {"condition": {"modality": "clean"}}),
        ("audio@large", {"condition": {"modality": "audio", "budget": "large"}}),
        ("both@strong", {"condition": {"modality": "both", "budget": "strong"}}),
        ("both@sweep/2", {"condition": {"modality": "both", "budget": "sweep/2"}}),
        ("audio@sweep/2:20", {"condition": {"modality": "audio", "budget": "sweep/2", "steps": 20}}),
        ("visual/clean", {"condition": {"modality": "clean", "variant": "visual"}}),
        ("visual/fgsm/audio@large", {
            "condition": {"modality": "audio", "budget": "large", "variant": "visual", "attack": "fgsm"},
        }),
        ("majority*", {"condition": {"modality": "majority"}, "ours_only": True}),
        ("mean(a b)", {"mean": ["a", "b"]}),
        ("sum(a b)*", {"sum": ["a", "b"], "ours_only": True}),
        ("sum(a b) - concat", {"sum": ["a", "b"], "against": {"variant": "concat"}}),
    ],
)  # fmt: skip
def test_a_column_says_what_it_reads(text: str, column: dict) -> None:
    assert columns(Z=text) == [{"name": "Z", **column}]


def test_columns_stand_in_their_order_with_their_headers() -> None:
    told = [{"clean": "clean", "X_A": "audio@large"}, {"Avg": "mean(clean X_A)"}]
    assert spec(columns=told)["columns"] == [
        {"name": "clean", "condition": {"modality": "clean"}},
        {"name": "X_A", "header": "✗A", "condition": {"modality": "audio", "budget": "large"}},
        {"name": "Avg", "mean": ["clean", "X_A"]},
    ]


def test_curves_that_an_attack_moves_have_its_name() -> None:
    series = [
        {"net": "AV", "variant": "concat", "attack": ["fgsm", "pgd"], "modality": "audio"},
        {"net": "AV", "victim": "sum", "surrogate": "concat", "attack": "pgd", "steps": [2, 20], "modality": "audio"},
        {"net": "V", "variant": "visual", "attack": "fgsm", "modality": "clean"},
    ]
    told = {"kind": "sweep", "title": "T", "dataset": "ave", "budgets": ["sweep"]}
    told["panels"] = [{"name": "a", "title": "A", "series": series}]
    read = {"dataset": "ave", "variant": "concat", "attack": "fgsm"}
    transferred = {"dataset": "ave", "surrogate": "concat", "victim": "sum", "attack": "pgd"}
    labels = LABELS | {"attack": LABELS["attack"] | {"pgd of concat": "PGD of concat"}}
    assert artefacts({"figure3": told}, labels)["figure3"]["spec"] == {
        "title": "T",
        "budgets": ["sweep"],
        "panels": [
            {
                "name": "a",
                "title": "A",
                "series": [
                    {"net": "AV", "modality": "audio", "read": read, "attack": "FGSM"},
                    {"net": "AV", "modality": "audio", "read": read | {"attack": "pgd"}, "attack": "PGD"},
                    *(
                        {"net": "AV", "modality": "audio", "read": transferred | {"steps": steps}, "attack": said}
                        for steps, said in ((2, "PGD of concat, 2 steps"), (20, "PGD of concat, 20 steps"))
                    ),
                    {"net": "V", "modality": "clean", "read": read | {"variant": "visual"}},
                ],
            }
        ],
    }


def test_a_column_may_be_a_measure_of_one_condition() -> None:
    one, other, mean = columns(X_A="success(sum/pgd/audio@large:2)*", error="clean_error(clean)", Avg="mean(X_A)")
    read = {"modality": "audio", "variant": "sum", "attack": "pgd", "budget": "large", "steps": 2}
    assert (one["condition"], one["measure"], one["ours_only"]) == (read, "success", True)
    assert (other["condition"], other["measure"]) == ({"modality": "clean"}, "clean_error")
    assert mean["mean"] == ["X_A"] and "measure" not in mean


LISTS = {"nets": ["AcV", "AsV", "RcR"], "pair": ["AcV", "AsV"]}


def test_a_list_is_a_mean_and_in_braces_each_of_its_names() -> None:
    (one,) = comparisons("$nets!<AcV/tia.success@small > $pair+at/pgd.success_if_recognised[audio]@small + 15.7", LISTS)
    others = {"mean": "nets", "of": ["AcV", "AsV", "RcR"], "others": True}
    assert one["higher"] == {
        "variant": others, "surrogate": "AcV", "attack": "tia", "of": "success", "budget": "small",
    }  # fmt: skip
    # Of each by its own gradients, where nothing is said of another net's.
    assert one["lower"] == {
        "variant": {"mean": "pair+at", "of": ["AcV+at", "AsV+at"]}, "surrogate": "<victim>", "attack": "pgd",
        "of": "success_if_recognised", "modality": "audio", "budget": "small",
    }  # fmt: skip
    (lost,) = comparisons("$nets<all-<victim>.success@small > $nets<$pair.clean_error", LISTS)
    assert lost["higher"]["surrogate"] == "all-<victim>"
    assert lost["lower"]["surrogate"] == {"mean": "pair", "of": ["AcV", "AsV"]}
    each = comparisons("{$pair,RcR}<all-AcV.success@small > 99", LISTS)
    assert [test["higher"]["variant"] for test in each] == ["AcV", "AsV", "RcR"]
    assert each[0]["higher"]["surrogate"] == "all-AcV"


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("$most.success@small > 1", "$most is none of lists: nets, pair"),
        ("{$most}.success@small > 1", "$most is none of lists: nets, pair"),
        ("AcV!.success@small > 1", "'AcV!' is no net; write $list, $list+suffix"),
        ("AcV.clean_error@small > 1", "clean_error has no budget"),
        ("AcV.success[clean]@small > 1", "success has no budget"),
    ],
)
def test_a_mistake_in_a_mean_is_named(test: str, message: str) -> None:
    with pytest.raises(NotationError, match=re.escape(message)):
        comparisons(test, LISTS)


def test_tests_of_claims_are_comparisons() -> None:
    assert comparisons("concat.clean > audio.X_A@small - 5") == [
        {
            "higher": {"variant": "concat", "of": "clean"},
            "lower": {"variant": "audio", "of": "X_A", "budget": "small"},
            "by": -5,
        }
    ]
    assert comparisons(["ave:RsV+dm5/pgd.Avg@readme/1 > 0.5", "a.mass[audio]@small > b.mass[clean] + 1.5"]) == [
        {
            "higher": {"dataset": "ave", "variant": "RsV+dm5", "attack": "pgd", "of": "Avg", "budget": "readme/1"},
            "lower": 0.5,
        },
        {
            "higher": {"variant": "a", "score": "mass", "modality": "audio", "budget": "small"},
            "lower": {"variant": "b", "score": "mass", "modality": "clean"},
            "by": 1.5,
        },
    ]


def test_a_claim_may_be_of_another_nets_gradients_and_of_some_steps() -> None:
    (one,) = comparisons("sum<film/pgd.X_A@sweep/1:20 > film.X_A@small:2")
    assert one["higher"] == {
        "variant": "sum", "surrogate": "film", "attack": "pgd", "of": "X_A", "budget": "sweep/1", "steps": 20,
    }  # fmt: skip
    assert one["lower"] == {"variant": "film", "of": "X_A", "budget": "small", "steps": 2}
    # It is the surrogate's loss that a twin for some nets changes.
    told = claim("sum<minsim.X_A@small > minsim<sum.X_A@small", attacks=["fgsm"], also=["hard"])
    assert claims([told], TWINS)[1]["tests"] == comparisons("sum<minsim/fgsm_ce.X_A@small > minsim<sum.X_A@small")


def claim(*lines: str, **more: object) -> dict:
    return {"name": "c", "section": "4", "sentence": "It holds.", "tests": list(lines), **more}


def test_a_twin_for_some_nets_attacks_those_otherwise() -> None:
    told = claim("minsim.X_A@small > minsim.clean", "minsim.X_A@small > concat.X_A@small", attacks=["fgsm"])
    first, twin = claims([told | {"note": "a margin", "also": ["hard"]}], TWINS)
    assert first == claim(attacks=["fgsm"], note="a margin") | {"tests": comparisons(told["tests"])}
    assert {name: twin[name] for name in ("name", "sentence", "note", "attacks")} == {
        "name": "c_hard", "sentence": "It holds (by another loss).", "note": "harder; a margin", "attacks": ["fgsm"],
    }  # fmt: skip
    # Clean clips are nobody's attack, and the undefended net has one loss only.
    assert twin["tests"] == comparisons(
        ["minsim/fgsm_ce.X_A@small > minsim.clean", "minsim/fgsm_ce.X_A@small > concat.X_A@small"]
    )
    assert "also" not in first and "also" not in twin


def test_a_twin_for_all_nets_attacks_all_otherwise() -> None:
    of_claim = claim("minsim.X_A@small > concat.X_A@small", attacks=["fgsm", "mim"], also=[{"released": {"note": ""}}])
    _, twin = claims([of_claim | {"note": "the textbook's"}], TWINS)
    assert (twin["attacks"], twin["note"]) == (["fgsm", "mim_official"], "leaves the ball")
    assert twin["tests"] == comparisons("minsim.X_A@small > concat.X_A@small")
    _, twin = claims([claim("a/pgd.Avg@small > a/mim.Avg@small", also=["released"])], TWINS)
    assert twin["tests"] == comparisons("a/pgd.Avg@small > a/mim_official.Avg@small")
    assert twin["note"] == "leaves the ball" and "attacks" not in twin


def test_a_twin_may_put_another_net_on_the_lower_side() -> None:
    made = claims([claim("concat.clean > concat.X_A@small", "a.clean > 3", attacks=["fgsm"], also=["longer"])], TWINS)
    assert [one["name"] for one in made] == ["c", "c_longer"]
    assert made[1]["tests"] == comparisons(["concat.clean > concat_continued.X_A@small", "a.clean > 3"])


def test_choices_are_numbered_and_set_by_their_names() -> None:
    named, fixed = {"name": "window", "default": "whole", "alternatives": ["half"]}, {"default": "no", "set_in": "here"}
    assert choices([named, fixed], "hand2020") == [
        {"number": 1, **named, "set_in": "config.yaml: hand2020.window"},
        {"number": 2, **fixed, "alternatives": []},
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": ["speed"]}, "artefacts.table9: 'speed' is none of labels: dataset, net, attack, column"),
        ({"rows": {**TABLE["rows"], "variant": "film"}}, "'film' is none of labels.net: concat, sum"),
        ({"rows": [TABLE["rows"], {"dataset": "ave"}]}, r"row 2 \(dataset ave\): surrogate, victim, attack must"),
        ({"columns": {"Z": "sound@small"}}, "column Z: 'sound' is none of clean, majority, audio, visual, both"),
        ({"columns": {"Z": "audio"}}, "column Z: audio needs a budget"),
        ({"columns": {"Z": "clean@small"}}, "column Z: clean has no budget"),
        ({"columns": {"Z": "a/b/c/clean"}}, "column Z: 'a/b/c/clean' is neither"),
        ({"columns": {"Z": "audio@large:0"}}, "column Z: 'audio@large:0': '0' is no number of steps"),
        ({"columns": {"Z": "mean(a"}}, r"column Z: 'mean\(a' is neither"),
    ],
)
def test_mistakes_in_a_layout_are_named(changes: dict, message: str) -> None:
    with pytest.raises(NotationError, match=message):
        spec(**changes)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (claim("a.clean < b.clean"), "claims.c: 'a.clean < b.clean' is no test"),
        (claim("a > b.clean"), "claims.c: 'a' is no quantity"),
        (claim("a.X_A@large > b.clean@large:20"), "claims.c: 'b.clean@large:20': clean has no budget"),
        (claim("a.mass[clean]@large > 1"), "clean has no budget"),
        (claim("a.kappa_{$none}[audio]@small > 0"), r"claims.c: lists.none is empty, and a test reads each of it"),
        (claim("a.clean > b.clean", also=["soft"]), "claims.c: also: 'soft' is none of twins: hard, released, longer"),
        (claim("minsim.X_A@small > 1", attacks=["fgsm", "pgd"], also=["hard"]), "claims.c: a twin for some nets needs"),
    ],
)
def test_mistakes_in_a_claim_are_named(told: dict, message: str) -> None:
    with pytest.raises(NotationError, match=message):
        claims([told], TWINS, {"none": []})


def test_a_label_is_of_the_part_that_its_key_is_about() -> None:
    assert label(LABELS, "net", {"variant": "sum"}) == "Sum"
    with pytest.raises(NotationError, match=r"None is none of labels\.net"):
        label(LABELS, "net", {"dataset": "music"})
    with pytest.raises(NotationError, match=r"of concat' is none of labels\.attack"):
        label(LABELS, "attack", {"variant": "concat", "victim": "sum", "attack": "fgsm"})


FACTORS = {
    "v": {"A": {"name": "alexnet", "options": {"width": 1}}, "R": "resnet18"},
    "f": {"s": "sum", "c": "concat"},
    "k": [10, 20],
}


def test_a_variant_is_made_for_each_combination_of_the_factors_in_its_name() -> None:
    told = {
        "<v><f>": {"visual": "<v>", "fusion": "<f>"},
        "<v>+at": {"like": "<v>s", "start": "<v>s", "of": ["<v>", {"k": 3}]},
        "As<k>": {"like": "As", "share": "<k>", "fusion": "concat"},
    }
    alexnet = FACTORS["v"]["A"]
    of = {"A": alexnet, "R": "resnet18"}
    assert variants(told, FACTORS) == {
        "As": {"visual": alexnet, "fusion": "sum"},
        "Ac": {"visual": alexnet, "fusion": "concat"},
        "Rs": {"visual": "resnet18", "fusion": "sum"},
        "Rc": {"visual": "resnet18", "fusion": "concat"},
        **{
            f"{v}+at": {"visual": of[v], "fusion": "sum", "start": f"{v}s", "of": [of[v], {"k": 3}]} for v in ("A", "R")
        },
        # A number stays one, and what a variant says itself wins.
        "As10": {"visual": alexnet, "fusion": "concat", "share": 10},
        "As20": {"visual": alexnet, "fusion": "concat", "share": 20},
    }


def test_a_variant_may_be_like_one_that_is_like_another() -> None:
    told = {"c": {"like": "b", "start": "a"}, "b": {"like": "a", "fusion": "film"}, "a": {"fusion": "sum", "head": "h"}}
    made = variants(told, {})
    assert made["c"] == {"fusion": "film", "head": "h", "start": "a"} and list(made) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"<x>": {}}, "variants.<x>: <x> is none of factors: v, f, k"),
        ({"<v>": {"fusion": "<f>"}}, "variants.<v>: '<f>': the name before it has no <f>"),
        ({"As": {}, "<v><f>": {}}, "variants.<v><f>: As stands there already"),
        ({"a": {"like": "b"}}, "variants.a.like: 'b' is none of a"),
        ({"a": {"like": "b"}, "b": {"like": "a"}}, "variants.a.like: a is like b is like a, for ever"),
        ({"a": {"like": "a"}}, "variants.a.like: a is like a, for ever"),
    ],
)
def test_a_mistake_in_variants_is_named(told: dict, message: str) -> None:
    with pytest.raises(NotationError, match=re.escape(message)):
        variants(told, FACTORS)


def test_attacks_may_be_like_others_too() -> None:
    told = {"tma": {"update": "tma", "steps": 3}, "tma_<w>": {"like": "tma", "lambda1": "<w>"}}
    assert attacks(told, {"w": {"none": 0.0}})["tma_none"] == {"update": "tma", "steps": 3, "lambda1": 0.0}
    with pytest.raises(NotationError, match=re.escape("attacks.a.like: 'b' is none of a")):
        attacks({"a": {"like": "b"}}, {})


def test_headline_numbers_are_quantities_and_alternatives_runs() -> None:
    headline = {"says": "s", "of": "$nets!<A/tma.success@b", "less": ["A/{mig,pam}.success@b"]}
    runs = [{"choice": "c", "alternatives": {"x": {"tma": "t1"}, "y": {"tma": "t2"}}, "note": "n"}]
    made = sensitivity({"dataset": "d", "headlines": {"lead": headline}, "runs": runs}, {"nets": ["A", "B"]})
    (lead,) = made["headlines"]
    assert lead["of"][0]["variant"] == {"mean": "nets", "of": ["A", "B"], "others": True}
    assert [one["attack"] for one in lead["less"]] == ["mig", "pam"]
    assert made["runs"] == [
        {"alternative": "x", "instead": {"tma": "t1"}, "choice": "c", "note": "n"},
        {"alternative": "y", "instead": {"tma": "t2"}, "choice": "c", "note": "n"},
    ]
    told = {"dataset": "d", "headlines": {"lead": {"says": "s", "of": "A.success@"}}, "runs": []}
    with pytest.raises(NotationError, match=re.escape("sensitivity.headlines.lead: 'A.success@' is no quantity")):
        sensitivity(told, {})


def test_attacks_are_made_by_factors_too() -> None:
    told = {"masked<p>": {"update": "masked", "share": "<p>"}, "pgd20": {"update": "pgd_random", "steps": 20}}
    assert attacks(told, {"p": {"5": 0.05, "20": 0.2}}) == {
        "masked5": {"update": "masked", "share": 0.05},
        "masked20": {"update": "masked", "share": 0.2},
        "pgd20": {"update": "pgd_random", "steps": 20},
    }
    with pytest.raises(NotationError, match=re.escape("attacks.masked<q>: <q> is none of factors: p")):
        attacks({"masked<q>": {}}, {"p": ["5"]})


DRAWN = {"nets": ["AcV", "AsV"], "drawn": ["fgsm", "mine"]}


def test_factors_of_figures_have_lists_and_labels() -> None:
    """A list within a list is spliced, and what has no label is printed as it is called."""
    told = {
        "kind": "bars", "title": "Figure 5", "measure": "success", "read": {"dataset": "music"},
        "panels": {"surrogate": "$nets"}, "bars": {"attack": ["$drawn", "random_sign"]}, "ticks": {"victim": "$nets"},
        "marks": {"attack": ["pgd"]}, "beside": {"undefended": {"variant": "<net>"}},
    }  # fmt: skip
    made = artefacts({"figure5": told}, LABELS, DRAWN)["figure5"]
    nets = {"AcV": "AcV", "AsV": "AsV"}
    assert made == {
        "kind": "bars",
        "spec": {
            "title": "Figure 5", "measure": "success", "read": {"dataset": "music"},
            "panels": {"name": "surrogate", "values": nets},
            "bars": {"name": "attack", "values": {"fgsm": "FGSM", "mine": "mine", "random_sign": "random_sign"}},
            "ticks": {"name": "victim", "values": nets},
            "marks": {"PGD": {"attack": "pgd"}}, "beside": {"undefended": {"variant": "<net>"}},
        },
    }  # fmt: skip


def test_series_of_curves_are_a_factor_or_told_one_by_one() -> None:
    told = {
        "kind": "curves", "x": {"p": [0, 5]}, "at": {0: {"attack": "fgsm"}},
        "series": [{"attack": "$drawn"}, {"name": "noise", "read": {"attack": "random_sign"}, "flat": True}],
    }  # fmt: skip
    assert artefacts({"figure8": told}, LABELS, DRAWN)["figure8"]["spec"] == {
        "x": {"name": "p", "values": {"0": "0", "5": "5"}},
        "at": {"0": {"attack": "fgsm"}},
        "series": [
            {"name": "FGSM", "read": {"attack": "fgsm"}}, {"name": "mine", "read": {"attack": "mine"}},
            {"name": "noise", "read": {"attack": "random_sign"}, "flat": True},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bars", "message"),
    [
        ({"attack": "$some"}, "artefacts.figure5: $some is none of lists: nets, drawn"),
        ({"attack": "fgsm"}, "artefacts.figure5: bars: {'attack': 'fgsm'} is no factor"),
        ({"attack": ["fgsm"], "victim": ["a"]}, "is no factor; write for one: {attack: [fgsm, pgd]}"),
        ({"attack": ["fgsm", "$drawn"]}, "artefacts.figure5: bars: attack: fgsm occurs twice"),
    ],
)
def test_a_mistake_in_a_factor_is_named(bars: dict, message: str) -> None:
    with pytest.raises(NotationError, match=re.escape(message)):
        artefacts({"figure5": {"kind": "bars", "bars": bars}}, LABELS, DRAWN)


def test_a_list_of_one_stands_for_a_dataset():
    lists = {"sounds": ["audioset"], "some": ["music", "ave"]}
    told = {"figure1": {"kind": "diagram", "title": "One", "read": {"dataset": "$sounds", "variant": "concat"}}}
    assert artefacts(told, {}, lists)["figure1"]["spec"]["read"]["dataset"] == "audioset"
    claim = {"name": "one", "tests": "concat.clean > sum.clean", "datasets": "$some"}
    assert claims([claim], {}, lists)[0]["datasets"] == ["music", "ave"]
    with pytest.raises(NotationError, match=r"claims.one: \$none is none of lists: sounds, some"):
        claims([{**claim, "datasets": "$none"}], {}, lists)
