# Which files a rule makes is fixed, so that there is a rule for each kind of artefact; all do the same.
for kind, facts in tables.kinds.items():

    rule:
        """Make one table, figure or ledger of a kind: measure what its layout asks for, and write it."""
        name:
            kind
        input:
            cells=tables.read("cells"),
            metrics=tables.read("metrics"),
            scores=tables.read("scores"),
            embeddings=tables.read("embeddings"),
            examples=tables.read("examples"),
            published=tables.read("published"),
            manifests=tables.read("manifests"),
            classes=tables.read("classes"),
            availability=tables.read("availability"),
            tables=tables.read("tables"),
            calibrations=tables.read("calibrations"),
            trainings=tables.read("trainings"),
            geometry=tables.read("geometry"),
            points=tables.read("points"),
            answers=tables.read("answers"),
            synonyms=tables.read("synonyms"),
        output:
            shown=report(
                expand(
                    "results/{{scale}}/tables/{{artefact}}{suffix}", suffix=facts.shown
                ),
                caption=tables.caption(kind),
                category=tables.paper_of,
                labels={"artefact": "{artefact}"},
            ),
            others=expand(
                "results/{{scale}}/tables/{{artefact}}{suffix}", suffix=facts.others
            ),
        log:
            "results/{scale}/logs/{artefact}.log",
        benchmark:
            "results/{scale}/benchmarks/{artefact}.tsv"
        wildcard_constraints:
            artefact=tables.artefacts_of(kind),
        localrule: True
        conda:
            "../../envs/environment.yaml"
        params:
            kind=kind,
            spec=tables.spec,
            code=tables.code("artefact.py", "artefact"),
        shell:
            "python scripts/artefact.py --kind {params.kind:q} --spec {params.spec:q} --scale {wildcards.scale}"
            " --cells {input.cells:q} --metrics {input.metrics:q} --scores {input.scores:q} --embeddings {input.embeddings:q}"
            " --examples {input.examples:q} --published {input.published:q} --manifests {input.manifests:q}"
            " --classes {input.classes:q} --availability {input.availability:q} --tables {input.tables:q}"
            " --calibrations {input.calibrations:q} --trainings {input.trainings:q} --geometry {input.geometry:q}"
            " --points {input.points:q} --answers {input.answers:q} --synonyms {input.synonyms:q}"
            " --files {output:q} 2> {log:q}"


# All files of an artefact take their places together, when all are copied; where that fails, the old ones stay: `update`.
for shape, files in tables.shapes.items():

    rule:
        """Copy a finished artefact to paper_tables: nothing else has a published file as its output."""
        name:
            f"publish{shape}"
        input:
            made=multiext(f"{tables.results}/tables/{{published}}", *files),
        output:
            published=update(multiext("paper_tables/{published}", *files)),
        log:
            f"{tables.results}/logs/publish/{{published}}.log",
        benchmark:
            f"{tables.results}/benchmarks/publish/{{published}}.tsv"
        wildcard_constraints:
            published=tables.published_as(files),
        localrule: True
        conda:
            "../../envs/environment.yaml"
        shell:
            "whole=paper_tables/{wildcards.published}.part; rm -rf $whole.*; trap 'rm -rf '$whole.$$ EXIT;"
            " mkdir $whole.$$ 2> {log:q} && cp {input.made:q} $whole.$$ 2> {log:q}"
            " && mv $whole.$$/* $(dirname $whole)"


onsuccess:
    index.write(workflow, tables)


onerror:
    index.write(workflow, tables)
