rule attack:
    """Attack one trained variant under every modality and budget that an artefact needs; store a row per clip."""
    input:
        model="results/{scale}/models/{dataset}/{variant}/s{seed}/model.pt",
        shards=data.shards,
        surrogate=attack.surrogate,
    output:
        cell="results/{scale}/cells/{dataset}/{variant}/s{seed}/{attack}.parquet",
        provenance="results/{scale}/cells/{dataset}/{variant}/s{seed}/{attack}.json",
    log:
        "results/{scale}/logs/{dataset}/attack_{variant}_s{seed}_{attack}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/attack_{variant}_s{seed}_{attack}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: attack.job_threads
    resources:
        gpu=attack.gpus,
        device=attack.device,
        batch_size=attack.batch_size,
        mem_mb=attack.job_memory_mb,
        runtime=attack.job_minutes("cells"),
    params:
        attack=attack.spec,
        conditions=attack.conditions("cells"),
        key=attack.key,
        view=attack.view,
        attack_options=attack.options,
        surrogate_options=attack.surrogate_options,
        precision=attack.precision("attack"),
        torch_threads=attack.job_threads,
        code=attack.code("attack.py", "variant", "attack"),
    shell:
        "python scripts/attack.py --model {input.model:q} --shards {input.shards:q} --attack-spec {params.attack:q}"
        " --conditions {params.conditions:q} --key {params.key:q} --view {params.view:q} {params.attack_options:q}"
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
        cell=attack.checked_cell("cells"),
        float32=attack.checked_cell("precision"),
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
        precision=attack.precision("attack"),
        code=attack.code("precision.py"),
    shell:
        "python scripts/precision.py --scale {wildcards.scale} --precision {params.precision:q} --cell {input.cell:q}"
        " --float32 {input.float32:q} --output {output.table:q} 2> {log:q}"
