rule attack:
    """Attack one trained variant under every modality and budget that an artefact needs; store a row per clip."""
    input:
        model="results/{scale}/models/{dataset}/{variant}/s{seed}/model.pt",
        shards=plan.shards,
        surrogate=plan.surrogate,
    output:
        cell="results/{scale}/cells/{dataset}/{variant}/s{seed}/{attack}.parquet",
        provenance="results/{scale}/cells/{dataset}/{variant}/s{seed}/{attack}.json",
    log:
        "results/{scale}/logs/{dataset}/attack_{variant}_s{seed}_{attack}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/attack_{variant}_s{seed}_{attack}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: plan.attack_threads
    resources:
        gpu=plan.gpus,
        device=plan.device,
        batch_size=plan.batch_size,
        mem_mb=plan.attack_memory_mb,
        runtime=plan.attack_minutes("cells"),
    params:
        attack=plan.attack_spec,
        conditions=plan.conditions("cells"),
        key=plan.cell_key,
        options=plan.test_views,
        attack_options=plan.attack_options,
        surrogate_options=plan.surrogate_options,
        precision=plan.precision("attack"),
        torch_threads=plan.attack_threads,
        code=plan.code("attack.py", "variant", "attack"),
    shell:
        "python scripts/attack.py --model {input.model:q} --shards {input.shards:q} --attack-spec {params.attack:q}"
        " --conditions {params.conditions:q} --key {params.key:q} {params.options:q} {params.attack_options:q}"
        " {params.surrogate_options:q} --precision {params.precision:q} --device {resources.device:q}"
        " --batch-size {resources.batch_size:q} --threads {params.torch_threads:q} --code {params.code}"
        " --cell {output.cell:q} --provenance {output.provenance:q} 2> {log:q}"


use rule attack as attack_in_float32 with:
    output:
        cell="results/{scale}/precision/{dataset}/{variant}/s{seed}/{attack}.parquet",
        provenance="results/{scale}/precision/{dataset}/{variant}/s{seed}/{attack}.json",
    log:
        "results/{scale}/logs/{dataset}/attack_in_float32_{variant}_s{seed}_{attack}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/attack_in_float32_{variant}_s{seed}_{attack}.tsv"
    params:
        precision="float32",


rule precision:
    """Set an attack's accuracies beside those of the same attack with gradients in float32, clip by clip."""
    input:
        cell=plan.checked_cell("cells"),
        float32=plan.checked_cell("precision"),
    output:
        table="results/{scale}/tables/precision.csv",
    log:
        "results/{scale}/logs/precision.log",
    benchmark:
        "results/{scale}/benchmarks/precision.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        precision=plan.precision("attack"),
        code=plan.code("precision.py"),
    shell:
        "python scripts/precision.py --scale {wildcards.scale} --precision {params.precision:q} --cell {input.cell:q}"
        " --float32 {input.float32:q} --output {output.table:q} 2> {log:q}"
