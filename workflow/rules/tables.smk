rule table:
    """Compute a table from its cells and set it beside the published one."""
    input:
        cells=tables.cells,
        published=tables.published,
        manifests=tables.manifests,
    output:
        csv=report(
            "results/{scale}/tables/{paper}/{artefact}.csv",
            caption="../report/table.rst",
            category="{paper}",
            labels={"artefact": "{artefact}", "as": "table"},
        ),
        markdown="results/{scale}/tables/{paper}/{artefact}.md",
    log:
        "results/{scale}/logs/{paper}/{artefact}.log",
    benchmark:
        "results/{scale}/benchmarks/{paper}/{artefact}.tsv"
    wildcard_constraints:
        artefact=tables.artefacts_of("table"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        spec=tables.spec,
        manifest_datasets=tables.manifest_datasets,
        code=tables.code("table.py"),
    shell:
        "python scripts/table.py --spec {params.spec:q} --cells {input.cells:q} --published {input.published:q}"
        " --manifests {input.manifests:q} --manifest-datasets {params.manifest_datasets:q}"
        " --scale {wildcards.scale} --csv {output.csv:q} --markdown {output.markdown:q} 2> {log:q}"


rule sweep:
    """Draw accuracy over the strength of the attack, with the data beside the picture."""
    input:
        cells=tables.cells,
    output:
        csv="results/{scale}/tables/{paper}/{artefact}.csv",
        svg=report(
            "results/{scale}/tables/{paper}/{artefact}.svg",
            caption="../report/sweep.rst",
            category="{paper}",
            labels={"artefact": "{artefact}", "as": "figure"},
        ),
        png="results/{scale}/tables/{paper}/{artefact}.png",
    log:
        "results/{scale}/logs/{paper}/{artefact}.log",
    benchmark:
        "results/{scale}/benchmarks/{paper}/{artefact}.tsv"
    wildcard_constraints:
        artefact=tables.artefacts_of("sweep"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        spec=tables.spec,
        code=tables.code("figure.py"),
    shell:
        "python scripts/figure.py --spec {params.spec:q} --cells {input.cells:q} --scale {wildcards.scale}"
        " --csv {output.csv:q} --svg {output.svg:q} --png {output.png:q} 2> {log:q}"


rule heat_maps:
    """Draw where the localisation net looks, clean and under attack."""
    input:
        examples=tables.examples,
    output:
        csv="results/{scale}/tables/{paper}/{artefact}.csv",
        svg=report(
            "results/{scale}/tables/{paper}/{artefact}.svg",
            caption="../report/heat_maps.rst",
            category="{paper}",
            labels={"artefact": "{artefact}", "as": "figure"},
        ),
        png="results/{scale}/tables/{paper}/{artefact}.png",
    log:
        "results/{scale}/logs/{paper}/{artefact}.log",
    benchmark:
        "results/{scale}/benchmarks/{paper}/{artefact}.tsv"
    wildcard_constraints:
        artefact=tables.artefacts_of("heat_maps"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        spec=tables.spec,
        code=tables.code("heat_maps.py"),
    shell:
        "python scripts/heat_maps.py --spec {params.spec:q} --examples {input.examples:q} --scale {wildcards.scale}"
        " --csv {output.csv:q} --svg {output.svg:q} --png {output.png:q} 2> {log:q}"


rule localisation:
    """Say how well the localisation net finds the sounding object, clean and under attack."""
    input:
        scores=tables.localisation_scores,
    output:
        csv=report(
            "results/{scale}/tables/{paper}/{artefact}.csv",
            caption="../report/table.rst",
            category="{paper}",
            labels={"artefact": "{artefact}", "as": "table"},
        ),
        markdown="results/{scale}/tables/{paper}/{artefact}.md",
    log:
        "results/{scale}/logs/{paper}/{artefact}.log",
    benchmark:
        "results/{scale}/benchmarks/{paper}/{artefact}.tsv"
    wildcard_constraints:
        artefact=tables.artefacts_of("localisation"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        spec=tables.spec,
        code=tables.code("localisation.py"),
    shell:
        "python scripts/localisation.py --spec {params.spec:q} --scores {input.scores:q} --scale {wildcards.scale}"
        " --csv {output.csv:q} --markdown {output.markdown:q} 2> {log:q}"


rule tsne:
    """Draw the embeddings by t-SNE, with the numbers that such a picture is taken to show."""
    input:
        embeddings=tables.embeddings,
        scores=tables.embedding_scores,
    output:
        csv="results/{scale}/tables/{paper}/{artefact}.csv",
        measures=report(
            "results/{scale}/tables/{paper}/{artefact}_measures.csv",
            caption="../report/table.rst",
            category="{paper}",
            labels={"artefact": "{artefact}", "as": "table"},
        ),
        svg=report(
            "results/{scale}/tables/{paper}/{artefact}.svg",
            caption="../report/tsne.rst",
            category="{paper}",
            labels={"artefact": "{artefact}", "as": "figure"},
        ),
        png="results/{scale}/tables/{paper}/{artefact}.png",
    log:
        "results/{scale}/logs/{paper}/{artefact}.log",
    benchmark:
        "results/{scale}/benchmarks/{paper}/{artefact}.tsv"
    wildcard_constraints:
        artefact=tables.artefacts_of("tsne"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        spec=tables.spec,
        code=tables.code("tsne.py"),
    shell:
        "python scripts/tsne.py --spec {params.spec:q} --embeddings {input.embeddings:q} --scores {input.scores:q}"
        " --scale {wildcards.scale} --csv {output.csv:q} --measures-csv {output.measures:q}"
        " --svg {output.svg:q} --png {output.png:q} 2> {log:q}"


rule claims:
    """Say of each claim of the paper whether it holds."""
    input:
        cells=tables.cells,
        scores=tables.scores,
    output:
        csv=report(
            "results/{scale}/tables/{paper}/{artefact}.csv",
            caption="../report/claims.rst",
            category="{paper}",
            labels={"artefact": "{artefact}", "as": "table"},
        ),
        tests="results/{scale}/tables/{paper}/{artefact}_tests.csv",
        markdown="results/{scale}/tables/{paper}/{artefact}.md",
    log:
        "results/{scale}/logs/{paper}/{artefact}.log",
    benchmark:
        "results/{scale}/benchmarks/{paper}/{artefact}.tsv"
    wildcard_constraints:
        artefact=tables.artefacts_of("claims"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        spec=tables.spec,
        code=tables.code("claims.py"),
    shell:
        "python scripts/claims.py --spec {params.spec:q} --cells {input.cells:q} --scores {input.scores:q}"
        " --scale {wildcards.scale} --csv {output.csv:q} --tests-csv {output.tests:q}"
        " --markdown {output.markdown:q} 2> {log:q}"


rule choices:
    """List the points that the paper leaves open or contradicts, and what was chosen for each."""
    output:
        csv=report(
            "results/{scale}/tables/{paper}/{artefact}.csv",
            caption="../report/choices.rst",
            category="{paper}",
            labels={"artefact": "{artefact}", "as": "table"},
        ),
        markdown="results/{scale}/tables/{paper}/{artefact}.md",
    log:
        "results/{scale}/logs/{paper}/{artefact}.log",
    benchmark:
        "results/{scale}/benchmarks/{paper}/{artefact}.tsv"
    wildcard_constraints:
        artefact=tables.artefacts_of("choices"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        spec=tables.spec,
        code=tables.code("choices.py"),
    shell:
        "python scripts/choices.py --spec {params.spec:q} --csv {output.csv:q} --markdown {output.markdown:q} 2> {log:q}"


rule stack:
    """Put the tables of one name of all papers under each other."""
    input:
        tables=tables.stacked,
    output:
        table="results/{scale}/tables/{artefact}.csv",
    log:
        "results/{scale}/logs/stack_{artefact}.log",
    benchmark:
        "results/{scale}/benchmarks/stack_{artefact}.tsv"
    wildcard_constraints:
        artefact=tables.stacked_artefacts,
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        papers=tables.papers_with,
        code=tables.code("stack.py"),
    shell:
        "python scripts/stack.py --item {wildcards.artefact} --papers {params.papers:q} --tables {input.tables:q}"
        " --output {output.table:q} 2> {log:q}"


rule publish:
    """Copy a finished table or figure to paper_tables; nothing that can fail has a published file as its output."""
    input:
        made=f"{tables.results}/tables/{{item}}",
    output:
        published="paper_tables/{item}",
    log:
        f"{tables.results}/logs/publish/{{item}}.log",
    benchmark:
        f"{tables.results}/benchmarks/publish/{{item}}.tsv"
    wildcard_constraints:
        item=tables.published_items,
    localrule: True
    conda:
        "../../envs/environment.yaml"
    shell:
        "rm -f {output.published:q}.*.part; trap 'rm -f {output.published:q}.$$.part' EXIT;"
        " cp {input.made:q} {output.published:q}.$$.part 2> {log:q}"
        " && mv {output.published:q}.$$.part {output.published:q}"
