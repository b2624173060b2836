# A rule for each program that looks into a net, because their files differ; all else of them is the same.
for family, looked in analysis.looked_into.items():

    rule:
        """Look into a net, clean and attacked: score what it does, and keep more of the clips than its answers."""
        name:
            looked.program
        input:
            model="results/{scale}/models/{dataset}/{variant}/s{seed}/model.pt",
            shards=data.shards,
            budgets=analysis.budget_files(family),
        output:
            scores=f"results/{{scale}}/{family}/{{dataset}}/{{variant}}/s{{seed}}/{{attack}}{looked.scores}",
            kept=f"results/{{scale}}/{family}/{{dataset}}/{{variant}}/s{{seed}}/{{attack}}{looked.kept}",
            provenance=f"results/{{scale}}/{family}/{{dataset}}/{{variant}}/s{{seed}}/{{attack}}.json",
        log:
            f"results/{{scale}}/logs/{{dataset}}/{looked.program}_{{variant}}_s{{seed}}_{{attack}}.log",
        benchmark:
            f"results/{{scale}}/benchmarks/{{dataset}}/{looked.program}_{{variant}}_s{{seed}}_{{attack}}.tsv"
        conda:
            "../../envs/environment.yaml"
        threads: analysis.job_threads
        resources:
            gpu=analysis.gpus,
            device=analysis.device,
            batch_size=analysis.batch_size,
            mem_mb=analysis.job_memory_mb,
            runtime=analysis.job_minutes(family),
        params:
            program=looked.program,
            told=analysis.told(family),
            torch_threads=analysis.job_threads,
            code=analysis.code(f"{looked.program}.py", "variant", "attack"),
        shell:
            "python scripts/{params.program}.py --model {input.model:q} --shards {input.shards:q}"
            " --attack-spec {params.told[attack]:q} --conditions {params.told[conditions]:q}"
            " --budgets {params.told[budgets]:q} --budget-files {input.budgets:q} --key {params.told[key]:q}"
            " --view {params.told[view]:q} --model-state {params.told[model_state]:q}"
            " --epsilon-space {params.told[epsilon_space]:q} {params.told[example_classes]:q}"
            " --device {resources.device:q} --batch-size {resources.batch_size:q} --threads {params.torch_threads:q}"
            " --code {params.code} --scores {output.scores:q} --kept {output.kept:q} --provenance {output.provenance:q}"
            " 2> {log:q}"


rule geometry:
    """Measure how densely the training clips of each class lie in what a net's classifier gets, and how convex it is."""
    input:
        model="results/{scale}/models/{dataset}/{variant}/s{seed}/model.pt",
        shards=data.shards,
    output:
        rows="results/{scale}/geometry/{dataset}/{variant}/s{seed}.parquet",
        points="results/{scale}/geometry/{dataset}/{variant}/s{seed}_points.parquet",
        provenance="results/{scale}/geometry/{dataset}/{variant}/s{seed}.json",
    log:
        "results/{scale}/logs/{dataset}/geometry_{variant}_s{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/geometry_{variant}_s{seed}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: analysis.job_threads
    resources:
        gpu=analysis.gpus,
        device=analysis.device,
        batch_size=analysis.batch_size,
        mem_mb=analysis.geometry_memory_mb,
        runtime=analysis.geometry_minutes,
    params:
        told=analysis.measured,
        torch_threads=analysis.job_threads,
        code=analysis.code("geometry.py", "variant"),
    shell:
        "python scripts/geometry.py --model {input.model:q} --shards {input.shards:q} --view {params.told[view]:q}"
        " --model-state {params.told[model_state]:q} --device {resources.device:q}"
        " --batch-size {resources.batch_size:q} --threads {params.torch_threads:q} --code {params.code}"
        " --key {params.told[key]:q} {params.told[shown_classes]:q} --rows {output.rows:q} --points {output.points:q}"
        " --provenance {output.provenance:q} 2> {log:q}"


rule rank:
    """Measure how well nets rank the clips of each class, with replicates, once for all that reads it."""
    input:
        cells="results/{scale}/cells/{dataset}/s{seed}/{bundle}.parquet",
    output:
        rows="results/{scale}/metrics/{dataset}/s{seed}/{bundle}.parquet",
        provenance="results/{scale}/metrics/{dataset}/s{seed}/{bundle}.json",
    log:
        "results/{scale}/logs/{dataset}/rank_{bundle}_s{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/rank_{bundle}_s{seed}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=analysis.memory_mb("pack"),
        runtime=analysis.minutes("pack"),
    params:
        code=analysis.code("rank.py"),
    shell:
        "python scripts/rank.py --cells {input.cells:q} --code {params.code} --rows {output.rows:q}"
        " --provenance {output.provenance:q} 2> {log:q}"


rule checks:
    """Compare finished cells with each other, and list every sign that an attack was too weak."""
    input:
        cells=analysis.checked("parquet"),
        rankings=analysis.rankings,
        provenances=analysis.checked("json"),
    output:
        table="results/{scale}/tables/checks.csv",
    log:
        "results/{scale}/logs/checks.log",
    benchmark:
        "results/{scale}/benchmarks/checks.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        names=analysis.names,
        code=analysis.code("checks.py"),
    shell:
        "python scripts/checks.py --cells {input.cells:q} --provenances {input.provenances:q}"
        " --rankings {input.rankings:q} --names {params.names:q} --scale {wildcards.scale} --output {output.table:q}"
        " 2> {log:q}"
