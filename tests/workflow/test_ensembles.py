"""Surrogates of several nets: what is trained for them, what an attack on them is told, and mistakes in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import copy_project, plan, replace, retold, unedited

from avrobust.spec.nets import Ensemble
from lib.plan import Plan
from lib.settings import SettingsError

NETS = ("AcV", "AsV", "AcR", "AsR", "RcV", "RsV", "RcR", "RsR")


def together(facts: dict) -> None:
    """A row of Table 2 of clips that two nets without `sum` are attacked for."""
    facts["lists"] = {"fused": ["concat", "sum", "film"]}
    facts["ensembles"] = {"all-sum": {"of": "$fused", "without": "sum"}}
    facts["labels"]["attack"]["fgsm of all-sum"] = "FGSM, of others"
    row = {"dataset": "music", "surrogate": "all-sum", "victim": "sum", "attack": "fgsm", "ours_only": True}
    facts["artefacts"]["table2"]["rows"] = [facts["artefacts"]["table2"]["rows"], row]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def made(project: Path) -> Plan:
    return plan(retold(project, together))


JOB = SimpleNamespace(dataset="music", bundle="all-sum.fgsm", seed="1234")


def test_its_nets_are_trained_and_inputs_of_its_cells(made: Plan) -> None:
    assert made.grid.ensembles == {"all-sum": Ensemble(("concat", "film"))}
    nets = [f"results/demo/models/music/{name}/s1234/model.pt" for name in ("concat", "film", "sum")]
    assert made.attack.models(JOB) == nets
    given = made.attack.told(JOB)
    assert given["nets"] == [f"{name}={path}" for name, path in zip(("concat", "film", "sum"), nets, strict=True)]
    (cell,) = json.loads(given["cells"])
    assert (cell["surrogate"], cell["nets"], list(cell["victims"])) == ("all-sum", ["concat", "film"], ["sum"])
    # An ensemble is no variant that anything trains.
    assert "all-sum" not in made.grid.variants and "all-sum" not in made.wildcard_patterns["variant"]
    assert {("music", "film"), ("music", "concat")} <= made.grid.trained
    # Cells of nets by themselves say nothing of it.
    undefended = made.attack.told(SimpleNamespace(dataset="music", bundle="undefended", seed="1234"))
    assert all("nets" not in one for one in json.loads(undefended["cells"]))


def test_its_code_is_that_of_its_nets(made: Plan, tmp_path: Path) -> None:
    def code(name: str, *edit: str) -> str:
        root = retold(copy_project(tmp_path / name), together)
        replace(root / "scripts/avrobust/models/fusions" / edit[0], *edit[1:])
        return plan(root).attack.code("attack.py", "variant", "attack")(JOB)

    before = made.attack.code("attack.py", "variant", "attack")(JOB)
    with_it, alone = (
        made.attack.entries("variant", one) + made.attack.entries("attack", one)
        for one in (JOB, SimpleNamespace(dataset="music", bundle="undefended", seed="1234"))
    )
    ensemble = "avrobust.models.ensemble:Ensemble"
    assert ensemble in with_it and ensemble not in alone
    assert code("other", "gated_sum.py", "audio.sigmoid() * visual", "2 * audio.sigmoid() * visual") == before
    assert code("own", "film.py", "self.alpha(audio) * visual", "2 * self.alpha(audio) * visual") != before


def test_it_is_attacked_so_many_clips_at_a_time_that_all_its_nets_fit(made: Plan) -> None:
    batch = made.settings.scale["attack_batch_size"]
    assert made.attack.clips_at_a_time(JOB) == str(batch // 2)
    alone = SimpleNamespace(dataset="music", bundle="undefended", seed="1234")
    assert made.attack.clips_at_a_time(alone) == str(batch)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda facts: facts["ensembles"]["all-sum"].update(of="$none"),
            "workflow/papers/tian2021/variants.yaml: ensembles.all-sum: $none is none of lists: fused",
        ),
        (
            lambda facts: facts["ensembles"]["all-sum"].update(without="audio"),
            "ensembles.all-sum: without: 'audio' is none of concat, sum, film",
        ),
        (
            lambda facts: facts["lists"].update(fused=["concat", "sum", "AcV"]),
            "ensembles.all-sum: of: 'AcV' is none of variants: audio, visual, concat",
        ),
        (lambda facts: facts["lists"].update(fused=["sum"]), "ensembles.all-sum: no net is left; give more `of`"),
        (
            lambda facts: facts["ensembles"].update(concat={"of": "$fused"}),
            "ensembles.concat: a variant has this name; take another",
        ),
        (
            lambda facts: facts["lists"].update(fused=["concat", "audio", "sum"]),
            "ensemble all-sum on music: concat takes audio, visual and audio takes audio; take nets of the same",
        ),
        (
            lambda facts: facts["lists"].update(fused=["concat", "minsim", "sum"]),
            "attack fgsm on ensemble all-sum: minsim was trained by min_similarity, which is of one net",
        ),
        (
            lambda facts: facts["artefacts"]["table2"]["rows"][1].update(surrogate="all-film"),
            "'all-film' is none of the paper's variants and ensembles: audio, visual",
        ),
        (
            lambda facts: facts["artefacts"]["table2"]["rows"][1].update(victim="all-sum"),
            "'all-sum' is none of",
        ),
    ],
)
def test_a_mistake_in_an_ensemble_is_one_line(project: Path, change: Callable[[dict], None], said: str) -> None:
    def with_labels(facts: dict) -> None:
        facts["labels"]["attack"]["fgsm of all-film"] = "FGSM, of others"
        facts["labels"]["fusion"]["all-sum"] = "All"
        change(facts)

    with pytest.raises(SettingsError) as caught:
        plan(retold(project, together, with_labels))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_attack_with_an_objective_of_its_own_needs_no_plain_training(project: Path) -> None:
    def change(facts: dict) -> None:
        facts["lists"]["fused"] = ["concat", "minsim", "sum"]
        facts["artefacts"]["table2"]["rows"][1]["attack"] = "fgsm_ce"
        facts["labels"]["attack"]["fgsm_ce of all-sum"] = "FGSM, of others"

    assert plan(retold(project, together, change)).grid.nets_of("all-sum") == ("concat", "minsim")


def test_the_ensembles_of_zhang_et_al_are_all_nets_but_one_and_all_nets() -> None:
    """The demo attacks some clips by them; the paper scale all, and an ensemble says nothing of it."""
    for scale, clips in (("demo", 8), ("paper", None)):
        made = plan(unedited(), papers=["zhang2025"], scale=scale)
        wanted = {f"all-{net}": Ensemble(tuple(one for one in NETS if one != net), clips) for net in NETS}
        others = {"all-AcV_losses": Ensemble(wanted["all-AcV"].nets, clips, "mean_losses"), "all": Ensemble(NETS, 100)}
        assert made.grid.ensembles == {**wanted, **others}
        assert made.grid.clips_of("AcV") is None


def test_an_ensemble_attacks_as_many_clips_as_it_says(made: Plan, project: Path) -> None:
    """Its cells say so, and ask for less time; whoever is attacked by itself is attacked on all."""

    def fewer(facts: dict) -> None:
        facts["ensembles"]["all-sum"]["clips"] = 8

    every, some = made.attack, plan(retold(project, together, fewer)).attack
    (cell,) = json.loads(some.told(JOB)["cells"])
    assert cell["clips"] == 8 and "clips" not in json.loads(every.told(JOB)["cells"])[0]
    key, clips = ("music", "all-sum", "fgsm"), every.data.split_clips("music", "test")
    assert some.bundle_work([key]) * clips == every.bundle_work([key]) * 8
    other = ("music", "concat", "fgsm")
    assert some.bundle_work([other]) == every.bundle_work([other])


def test_a_bundle_of_each_and_of_some_datasets(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    path = root / "workflow/scales/paper.yaml"
    bundles = (
        "  pair: {datasets: [ave], surrogates: [concat, audio]}\n  own: {each: [concat, sum], attacks: [fgsm, pgd]}\n"
    )
    replace(path, "bundles:\n", f"bundles:\n{bundles}")
    found = plan(root, scale="paper").attack.bundles
    assert {key[1] for key in found["ave", "pair"]} == {"concat", "audio"}
    assert ("music", "pair") not in found
    assert [key[2] for key in found["music", "concat.own"]] == ["fgsm", "pgd"]
    assert [key[2] for key in found["music", "film.plain"]] == ["fgsm", "random_sign"]


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        ("{each: [none]}", "bundles.b.each: 'none' is not known"),
        ("{datasets: [musics]}", "bundles.b.datasets: 'musics' is not known; allowed are audioset"),
        ("{each: [concat], surrogates: [sum]}", "bundles.b: surrogates together or `each` by itself; take one of both"),
    ],
)
def test_a_mistake_in_a_bundle_is_one_line(tmp_path: Path, bundle: str, said: str) -> None:
    root = copy_project(tmp_path)
    replace(root / "workflow/scales/paper.yaml", "bundles:\n", f"bundles:\n  b: {bundle}\n")
    with pytest.raises(SettingsError) as caught:
        plan(root, scale="paper")
    assert said in str(caught.value) and "\n" not in str(caught.value)
