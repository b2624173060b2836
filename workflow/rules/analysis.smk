rule localise:
    """Score where the localisation net looks, clean and attacked, and keep a clip of each class to draw."""
    input:
        model="results/{scale}/models/{dataset}/{variant}/s{seed}/model.pt",
        shards=data.shards,
        budgets=analysis.budget_files("localisation"),
    output:
        scores="results/{scale}/localisation/{dataset}/{variant}/s{seed}/{attack}.parquet",
        examples="results/{scale}/localisation/{dataset}/{variant}/s{seed}/{attack}.npz",
        provenance="results/{scale}/localisation/{dataset}/{variant}/s{seed}/{attack}.json",
    log:
        "results/{scale}/logs/{dataset}/localise_{variant}_s{seed}_{attack}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/localise_{variant}_s{seed}_{attack}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: analysis.job_threads
    resources:
        gpu=analysis.gpus,
        device=analysis.device,
        batch_size=analysis.batch_size,
        mem_mb=analysis.job_memory_mb,
        runtime=analysis.job_minutes("localisation"),
    params:
        attack=analysis.spec,
        conditions=analysis.conditions("localisation"),
        budgets=analysis.budgets("localisation"),
        key=analysis.key,
        view=analysis.view,
        options=analysis.options,
        example_classes=analysis.example_classes,
        torch_threads=analysis.job_threads,
        code=analysis.code("localise.py", "variant", "attack"),
    shell:
        "python scripts/localise.py --model {input.model:q} --shards {input.shards:q} --attack-spec {params.attack:q}"
        " --conditions {params.conditions:q} --budgets {params.budgets:q} --budget-files {input.budgets:q}"
        " --key {params.key:q} --view {params.view:q} {params.options:q}"
        " --example-classes {params.example_classes:q} --device {resources.device:q}"
        " --batch-size {resources.batch_size:q} --threads {params.torch_threads:q} --code {params.code}"
        " --scores {output.scores:q} --examples {output.examples:q} --provenance {output.provenance:q} 2> {log:q}"


rule embed:
    """Store the embeddings of both modalities, clean and under attack, and how they cluster by class."""
    input:
        model="results/{scale}/models/{dataset}/{variant}/s{seed}/model.pt",
        shards=data.shards,
        budgets=analysis.budget_files("embeddings"),
    output:
        embeddings="results/{scale}/embeddings/{dataset}/{variant}/s{seed}/{attack}.parquet",
        scores="results/{scale}/embeddings/{dataset}/{variant}/s{seed}/{attack}.scores.parquet",
        provenance="results/{scale}/embeddings/{dataset}/{variant}/s{seed}/{attack}.json",
    log:
        "results/{scale}/logs/{dataset}/embed_{variant}_s{seed}_{attack}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/embed_{variant}_s{seed}_{attack}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: analysis.job_threads
    resources:
        gpu=analysis.gpus,
        device=analysis.device,
        batch_size=analysis.batch_size,
        mem_mb=analysis.job_memory_mb,
        runtime=analysis.job_minutes("embeddings"),
    params:
        attack=analysis.spec,
        conditions=analysis.conditions("embeddings"),
        budgets=analysis.budgets("embeddings"),
        key=analysis.key,
        view=analysis.view,
        options=analysis.options,
        torch_threads=analysis.job_threads,
        code=analysis.code("embed.py", "variant", "attack"),
    shell:
        "python scripts/embed.py --model {input.model:q} --shards {input.shards:q} --attack-spec {params.attack:q}"
        " --conditions {params.conditions:q} --budgets {params.budgets:q} --budget-files {input.budgets:q}"
        " --key {params.key:q} --view {params.view:q} {params.options:q}"
        " --device {resources.device:q} --batch-size {resources.batch_size:q} --threads {params.torch_threads:q}"
        " --code {params.code}"
        " --embeddings {output.embeddings:q} --scores {output.scores:q} --provenance {output.provenance:q} 2> {log:q}"


rule checks:
    """Compare finished cells with each other, and list every sign that an attack was too weak."""
    input:
        cells=analysis.checked("parquet"),
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
        code=analysis.code("checks.py"),
    shell:
        "python scripts/checks.py --cells {input.cells:q} --provenances {input.provenances:q}"
        " --scale {wildcards.scale} --output {output.table:q} 2> {log:q}"
