rule attack:
    """Attack nets under every modality and budget that an artefact needs, ask all victims, and store a row per clip."""
    input:
        models=attack.models,
        shards=data.shards,
        budgets=attack.budget_files,
    output:
        rows="results/{scale}/cells/{dataset}/s{seed}/{bundle}.parquet",
        provenance="results/{scale}/cells/{dataset}/s{seed}/{bundle}.json",
    log:
        "results/{scale}/logs/{dataset}/attack_{bundle}_s{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/attack_{bundle}_s{seed}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: attack.job_threads
    resources:
        gpu=attack.gpus,
        device=attack.device,
        batch_size=attack.batch_size,
        mem_mb=attack.job_memory_mb,
        runtime=attack.job_minutes,
    params:
        told=attack.told,
        precision=attack.precision("attack"),
        torch_threads=attack.job_threads,
        code=attack.code("attack.py", "variant", "attack"),
    shell:
        "python scripts/attack.py --cells {params.told[cells]:q} --nets {params.told[nets]:q} --shards {input.shards:q}"
        " --budgets {params.told[budgets]:q} --budget-files {input.budgets:q} --key {params.told[key]:q}"
        " --view {params.told[view]:q} --model-state {params.told[model_state]:q}"
        " --epsilon-space {params.told[epsilon_space]:q}"
        " --precision {params.precision:q} --device {resources.device:q}"
        " --batch-size {resources.batch_size:q} --threads {params.torch_threads:q} --code {params.code}"
        " --rows {output.rows:q} --provenance {output.provenance:q} 2> {log:q}"
