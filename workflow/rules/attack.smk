rule calibrate:
    """Find the strength at which an attack has the success that a paper prints, on validation clips of one seed."""
    input:
        models=calibration.models,
        shards=calibration.shards,
    output:
        budget="results/{scale}/budgets/{budget}.json",
        curve="results/{scale}/budgets/{budget}.csv",
        rows="results/{scale}/budgets/{budget}.parquet",
        provenance="results/{scale}/budgets/{budget}_provenance.json",
    log:
        "results/{scale}/logs/calibrate_{budget}.log",
    benchmark:
        "results/{scale}/benchmarks/calibrate_{budget}.tsv"
    priority: 2
    conda:
        "../../envs/environment.yaml"
    threads: calibration.job_threads
    resources:
        gpu=calibration.gpus,
        device=calibration.device,
        batch_size=calibration.batch_size,
        mem_mb=calibration.job_memory_mb,
        runtime=calibration.job_minutes,
    params:
        told=calibration.told,
        precision=calibration.precision("attack"),
        torch_threads=calibration.job_threads,
        code=calibration.code("calibrate.py", "variant", "attack"),
    shell:
        "python scripts/calibrate.py --cell {params.told[cell]:q} --nets {params.told[nets]:q} --shards {input.shards:q}"
        " --budgets {params.told[budgets]:q} --target {params.told[target]:q} --key {params.told[key]:q}"
        " --view {params.told[view]:q} --model-state {params.told[model_state]:q}"
        " --epsilon-space {params.told[epsilon_space]:q}"
        " --precision {params.precision:q} --device {resources.device:q}"
        " --batch-size {resources.batch_size:q} --threads {params.torch_threads:q} --code {params.code}"
        " --budget {output.budget:q} --curve {output.curve:q} --rows {output.rows:q}"
        " --provenance {output.provenance:q} 2> {log:q}"


rule fit:
    """Fit perturbations for all clips of a split, for each attack of a bundle and condition; killed, it goes on."""
    input:
        model="results/{scale}/models/{dataset}/{variant}/s{seed}/model.pt",
        shards=fit.shards,
        weights=fit.weights,
        budgets=fit.budget_files,
    output:
        perturbations="results/{scale}/perturbations/{dataset}/{variant}/s{seed}/{bundle}.pt",
        provenance="results/{scale}/perturbations/{dataset}/{variant}/s{seed}/{bundle}.json",
    log:
        "results/{scale}/logs/{dataset}/fit_{variant}_s{seed}_{bundle}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/fit_{variant}_s{seed}_{bundle}.tsv"
    wildcard_constraints:
        bundle=fit.names,
    priority: 1
    conda:
        "../../envs/environment.yaml"
    threads: fit.job_threads
    resources:
        gpu=fit.gpus,
        device=fit.device,
        batch_size=fit.clips_at_a_time,
        mem_mb=fit.job_memory_mb,
        runtime=fit.job_minutes,
    params:
        told=fit.told,
        precision=fit.precision("attack"),
        torch_threads=fit.job_threads,
        code=fit.code("fit.py", "variant", "attack"),
    shell:
        "python scripts/fit.py --model {input.model:q} --shards {input.shards:q} --attacks {params.told[attacks]:q}"
        " --budgets {params.told[budgets]:q} --budget-files {input.budgets:q} --key {params.told[key]:q}"
        " --view {params.told[view]:q} --model-state {params.told[model_state]:q}"
        " --epsilon-space {params.told[epsilon_space]:q} {params.told[extractor]:q}"
        " --precision {params.precision:q} --device {resources.device:q}"
        " --batch-size {resources.batch_size:q} --threads {params.torch_threads:q} --code {params.code}"
        " --perturbations {output.perturbations:q} --provenance {output.provenance:q} 2> {log:q}"


rule attack:
    """Attack nets under every modality and budget that an artefact needs, ask all victims, and store a row per clip."""
    input:
        models=attack.models,
        shards=attack.shards,
        weights=attack.weights,
        budgets=attack.budget_files,
        perturbations=attack.perturbations,
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
        batch_size=attack.clips_at_a_time,
        mem_mb=attack.job_memory_mb,
        runtime=attack.job_minutes,
    params:
        told=attack.told,
        precision=attack.precision("attack"),
        torch_threads=attack.job_threads,
        code=attack.code("attack.py", "variant", "attack"),
    shell:
        "python scripts/attack.py --cells {params.told[cells]:q} --nets {params.told[nets]:q} --shards {input.shards:q}"
        " --perturbations {params.told[perturbations]:q}"
        " --budgets {params.told[budgets]:q} --budget-files {input.budgets:q} --key {params.told[key]:q}"
        " --view {params.told[view]:q} --model-state {params.told[model_state]:q}"
        " --epsilon-space {params.told[epsilon_space]:q} {params.told[extractor]:q}"
        " --precision {params.precision:q} --device {resources.device:q}"
        " --batch-size {resources.batch_size:q} --threads {params.torch_threads:q} --code {params.code}"
        " --rows {output.rows:q} --provenance {output.provenance:q} 2> {log:q}"
