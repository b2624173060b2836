rule export:
    """Write attacked clips as files without any loss, and the same clips before the attack beside them."""
    input:
        cells=videollama.cells,
        provenance=videollama.provenance,
    output:
        clips="results/{scale}/exported/{dataset}/s{seed}/{surrogate}.{attack}/clips.csv",
        clean="results/{scale}/exported/{dataset}/s{seed}/{surrogate}.{attack}/clean.csv",
        provenance="results/{scale}/exported/{dataset}/s{seed}/{surrogate}.{attack}/export.json",
    log:
        "results/{scale}/logs/{dataset}/export_{surrogate}_s{seed}_{attack}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/export_{surrogate}_s{seed}_{attack}.tsv"
    wildcard_constraints:
        surrogate=videollama.surrogates,
        attack=videollama.attacks,
    conda:
        "../../envs/environment.yaml"
    threads: videollama.job_threads
    resources:
        gpu=videollama.gpus,
        device=videollama.device,
        mem_mb=videollama.job_memory_mb,
        runtime=videollama.job_minutes,
    params:
        told=videollama.told_to_export,
        torch_threads=videollama.job_threads,
        code=videollama.code("export.py", "variant", "attack"),
    shell:
        "folder=$(dirname {output.clips:q}) && rm -rf $folder &&"
        " python scripts/export.py --cells {input.cells:q} --surrogate {wildcards.surrogate:q}"
        " --attack {wildcards.attack} --modality {params.told[modality]:q} --budget {params.told[budget]:q}"
        " --attacked-only --with-clean --device {resources.device:q} --threads {params.torch_threads:q}"
        " --output $folder 2> {log:q}"


rule videollama:
    """Ask VideoLLaMA2 what sounds in clips, clean and attacked, in an environment of its own."""
    input:
        clips=videollama.clips,
        clean=videollama.clean,
    output:
        answers="results/{scale}/answers/{dataset}/s{seed}/{surrogate}.csv",
        provenance="results/{scale}/answers/{dataset}/s{seed}/{surrogate}.json",
    log:
        "results/{scale}/logs/{dataset}/videollama_{surrogate}_s{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/videollama_{surrogate}_s{seed}.tsv"
    wildcard_constraints:
        surrogate=videollama.surrogates,
    conda:
        "../../envs/videollama.yaml"
    threads: 4
    resources:
        gpu=videollama.gpus,
        mem_mb=videollama.asking_memory_mb,
        runtime=videollama.asking_minutes,
    params:
        told=videollama.told,
        code=videollama.code("videollama.py"),
    shell:
        "for folder in {params.told[environment]:q}; do PATH=$folder:$PATH; done;"
        " python scripts/videollama.py --clips {params.told[clips]:q} --prompt {params.told[prompt]:q}"
        " --key {params.told[key]:q} --weights {params.told[weights]:q}"
        " --repository {params.told[repository]:q} --code {params.code} --answers {output.answers:q}"
        " --provenance {output.provenance:q} 2> {log:q}"
