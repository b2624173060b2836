rule features:
    """Let a fixed net make what other nets learn from of every clip of some shards, once, and measure its moments."""
    input:
        shards=features.packed,
        availability=ancient("results/{scale}/data/{dataset}/availability.csv"),
        weights=features.weights,
    output:
        features="results/{scale}/features/{dataset}/{extractor}/{shard}.arrow",
        moments="results/{scale}/features/{dataset}/{extractor}/{shard}_moments.json",
        provenance="results/{scale}/features/{dataset}/{extractor}/{shard}_provenance.json",
    log:
        "results/{scale}/logs/{dataset}/features_{extractor}_{shard}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/features_{extractor}_{shard}.tsv"
    wildcard_constraints:
        extractor=features.extractors,
    priority: 2
    conda:
        "../../envs/environment.yaml"
    threads: features.threads("attack")
    resources:
        gpu=features.gpus,
        device=features.device,
        batch_size=features.batch_size,
        mem_mb=features.memory_mb("attack"),
        runtime=features.minutes("attack"),
    params:
        told=features.told,
        torch_threads=features.threads("attack"),
        code=features.code("extract.py", "extractor"),
    shell:
        "python scripts/extract.py --shards {input.shards:q} --extractor {wildcards.extractor:q}"
        " --encoders {params.told[encoders]:q} --view {params.told[view]:q} --weights {params.told[weights]:q}"
        " --device {resources.device:q} --batch-size {resources.batch_size:q} --threads {params.torch_threads:q}"
        " --code {params.code}"
        " --features {output.features:q} --moments {output.moments:q} --provenance {output.provenance:q} 2> {log:q}"


rule moments:
    """Merge the moments of all shards of features into mean and deviation, by which a net scales them."""
    input:
        parts=features.parts,
    output:
        moments="results/{scale}/features/{dataset}/{extractor}/moments.json",
    log:
        "results/{scale}/logs/{dataset}/moments_{extractor}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/moments_{extractor}.tsv"
    wildcard_constraints:
        extractor=features.extractors,
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=features.code("moments.py"),
    shell:
        "python scripts/moments.py --parts {input.parts:q} --moments {output.moments:q} 2> {log:q}"
