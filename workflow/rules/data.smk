rule render:
    """Render the clips of a dataset of the demo scale; the manifest lists them and is written last."""
    output:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        classes="results/{scale}/data/{dataset}/classes.txt",
    log:
        "results/{scale}/logs/{dataset}/render.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/render.tsv"
    wildcard_constraints:
        dataset=plan.datasets_from("render"),
    conda:
        "../../envs/environment.yaml"
    threads: plan.threads("render")
    resources:
        mem_mb=plan.memory_mb("render"),
        runtime=plan.minutes("render"),
    params:
        classes=plan.classes,
        options=plan.render_options,
        media=plan.media_folder,
        code=plan.code("render.py"),
    shell:
        "python scripts/render.py --dataset {wildcards.dataset:q} --classes {params.classes:q}"
        " {params.options:q} --processes {threads} --media {params.media:q}"
        " --manifest {output.manifest:q} --class-list {output.classes:q} 2> {log:q}"


rule manifest_of_lists:
    """Make a dataset's manifest from the released lists; media are looked for in a folder of the user's."""
    input:
        train=plan.released_list("train"),
        val=plan.released_list("val"),
        test=plan.released_list("test"),
    output:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        classes="results/{scale}/data/{dataset}/classes.txt",
    log:
        "results/{scale}/logs/{dataset}/manifest.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/manifest.tsv"
    wildcard_constraints:
        dataset=plan.datasets_from("lists"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        classes=plan.classes,
        media=plan.media_folder,
        code=plan.code("manifest.py"),
    shell:
        "python scripts/manifest.py lists --train {input.train:q} --val {input.val:q} --test {input.test:q}"
        " --classes {params.classes:q} --folder {params.media:q}"
        " --manifest {output.manifest:q} --class-list {output.classes:q} 2> {log:q}"


rule manifest_of_table:
    """Make a dataset's manifest from the user's own table of clips."""
    input:
        table=plan.table,
    output:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        classes="results/{scale}/data/{dataset}/classes.txt",
    log:
        "results/{scale}/logs/{dataset}/manifest.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/manifest.tsv"
    wildcard_constraints:
        dataset=plan.datasets_from("local"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        class_options=plan.class_options,
        media=plan.media_folder,
        code=plan.code("manifest.py"),
    shell:
        "python scripts/manifest.py local --table {input.table:q} --folder {params.media:q} {params.class_options:q}"
        " --manifest {output.manifest:q} --class-list {output.classes:q} 2> {log:q}"


rule pack:
    """Decode a few hundred clips into one shard for random access, and say what became of each of them."""
    input:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        classes="results/{scale}/data/{dataset}/classes.txt",
    output:
        shard="results/{scale}/data/{dataset}/shards/{shard}.arrow",
        report="results/{scale}/data/{dataset}/shards/{shard}.csv",
    log:
        "results/{scale}/logs/{dataset}/pack_{shard}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/pack_{shard}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: plan.threads("pack")
    resources:
        mem_mb=plan.memory_mb("pack"),
        runtime=plan.minutes("pack"),
    params:
        media=plan.media_folder,
        options=plan.pack_options,
        code=plan.code("pack.py"),
    shell:
        "python scripts/pack.py --manifest {input.manifest:q} --class-list {input.classes:q}"
        " --media-folder {params.media:q} --shard-index {wildcards.shard} {params.options:q}"
        " --processes {threads} --shard {output.shard:q} --availability {output.report:q} 2> {log:q}"


rule availability:
    """Join the shards' reports and stop where too few clips are usable."""
    input:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        reports=plan.shard_reports,
    output:
        availability="results/{scale}/data/{dataset}/availability.csv",
    log:
        "results/{scale}/logs/{dataset}/availability.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/availability.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        minimum_share=config["minimum_share"],
        code=plan.code("availability.py"),
    shell:
        "python scripts/availability.py --parts {input.reports:q} --manifest {input.manifest:q}"
        " --minimum-share {params.minimum_share} --output {output.availability:q} 2> {log:q}"
