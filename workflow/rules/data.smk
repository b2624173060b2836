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
        dataset=data.datasets_from("render"),
    priority: 2  # nets wait for clips, attacks for nets: what most wait for comes first
    conda:
        "../../envs/environment.yaml"
    threads: data.threads("render")
    resources:
        mem_mb=data.memory_mb("render"),
        runtime=data.minutes("render"),
    params:
        classes=data.classes,
        rendered=data.rendered,
        form=data.rendered_form,
        media=data.media_folder,
        code=data.code("render.py"),
    shell:
        "python scripts/render.py --dataset {wildcards.dataset:q} --classes {params.classes:q} "
        " --clips {params.rendered[clips]:q} --size-ratio {params.rendered[size_ratio]:q}"
        " --labels {params.rendered[labels]:q} --parents {params.rendered[parents]:q}"
        " --sound-clearness={params.rendered[clearness][sound]:q}"
        " --picture-clearness={params.rendered[clearness][picture]:q}"
        " --seconds {params.form[seconds]:q} --width {params.form[width]:q} --height {params.form[height]:q}"
        " --seed {params.form[seed]:q} --processes {threads} --media {params.media:q}"
        " --manifest {output.manifest:q} --class-list {output.classes:q} 2> {log:q}"


rule published_list:
    """Download a list of clips and write down what came; runs where the network is."""
    output:
        list="results/lists/{list}",
        provenance="results/lists/{list}.json",
    log:
        "results/lists/{list}.log",
    benchmark:
        "results/lists/{list}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        file=data.published,
        code=data.code("download.py"),
    shell:
        "python scripts/download.py --url {params.file[url]:q} --sha256 {params.file[sha256]:q}"
        " --git-blob {params.file[git_blob]:q} --output {output.list:q} --provenance {output.provenance:q} 2> {log:q}"


rule manifest_of_lists:
    """Make a dataset's manifest from its published lists; media are looked for in a folder of the user's."""
    input:
        lists=data.lists,
        class_index=data.class_index,
    output:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        classes="results/{scale}/data/{dataset}/classes.txt",
    log:
        "results/{scale}/logs/{dataset}/manifest.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/manifest.tsv"
    wildcard_constraints:
        dataset=data.datasets_from("lists"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        dataset=data.listed,
        code=data.code("manifest.py", "protocol"),
    shell:
        "python scripts/manifest.py protocol --protocol {params.dataset[protocol]:q} --list {params.dataset[lists]:q}"
        " --options {params.dataset[options]:q} --classes {params.dataset[classes]:q}"
        " --class-index {input.class_index:q} --folder {params.dataset[folder]:q}"
        " {params.dataset[local_only]:q} {params.dataset[spans_needed]:q}"
        " --manifest {output.manifest:q} --class-list {output.classes:q} 2> {log:q}"


rule manifest_of_table:
    """Make a dataset's manifest from the user's own table of clips."""
    input:
        table=data.table,
    output:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        classes="results/{scale}/data/{dataset}/classes.txt",
    log:
        "results/{scale}/logs/{dataset}/manifest.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/manifest.tsv"
    wildcard_constraints:
        dataset=data.datasets_from("local"),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        classes=data.classes_of_table,
        media=data.media_folder,
        code=data.code("manifest.py"),
    shell:
        "python scripts/manifest.py local --table {input.table:q} --folder {params.media:q} {params.classes:q}"
        " --manifest {output.manifest:q} --class-list {output.classes:q} 2> {log:q}"


rule archive:
    """Read an official archive part by part and keep the wanted clips; runs where the network is."""
    input:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
    output:
        kept="results/{scale}/data/{dataset}/archive.csv",
    log:
        "results/{scale}/logs/{dataset}/archive.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/archive.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        keep_free_gb=data.download("keep_free_gb"),
        connections=data.download("connections"),
    params:
        place=data.archive_place,
        folder=data.fetched_folder,
        state=data.archive_state,
        code=data.code("archive.py"),
    shell:
        "python scripts/archive.py --parts {params.place[parts]:q} --part-list {params.place[part_lists]:q}"
        " --zip {params.place[zip]:q} --manifest {input.manifest:q} --folder {params.folder:q}"
        " --keep-free-gb {resources.keep_free_gb:q} --connections {resources.connections:q}"
        " --state {params.state:q} --output {output.kept:q} 2> {log:q}"


rule fetch:
    """Find each clip of a shard in its sources, fetching what only the web has; runs where the network is."""
    input:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        archive=data.archive,
    output:
        locations="results/{scale}/data/{dataset}/locations/{shard}.csv",
    log:
        "results/{scale}/logs/{dataset}/fetch_{shard}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/fetch_{shard}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        videos_per_hour=data.download("videos_per_hour"),
        keep_free_gb=data.download("keep_free_gb"),
        retry=data.download("retry"),
    params:
        shards=data.shard_count,
        sources=data.sources,
        spans_needed=data.spans_needed,
        web=data.web,
        media=data.media_folder,
        folder=data.fetched_folder,
        state="results/{scale}/data/{dataset}/locations/{shard}.jsonl",
        code=data.code("fetch.py"),
    shell:
        "python scripts/fetch.py --manifest {input.manifest:q} --shard-index {wildcards.shard}"
        " --shards {params.shards:q} --sources {params.sources:q} --archive {input.archive:q} {params.spans_needed:q}"
        " --web {params.web:q} --media-folder {params.media:q} --folder {params.folder:q}"
        " --videos-per-hour {resources.videos_per_hour:q} --keep-free-gb {resources.keep_free_gb:q}"
        " --retry {resources.retry:q} --state {params.state:q} --locations {output.locations:q} 2> {log:q}"


rule pack:
    """Decode many clips into one shard for random access, and say what became of each of them."""
    input:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        classes="results/{scale}/data/{dataset}/classes.txt",
        locations=data.shard_locations,
    output:
        shard="results/{scale}/data/{dataset}/shards/{shard}.arrow",
        report="results/{scale}/data/{dataset}/shards/{shard}.csv",
    log:
        "results/{scale}/logs/{dataset}/pack_{shard}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/pack_{shard}.tsv"
    priority: 2
    conda:
        "../../envs/environment.yaml"
    threads: data.threads("pack")
    resources:
        mem_mb=data.memory_mb("pack"),
        runtime=data.minutes("pack"),
    params:
        media=data.media_folder,
        shards=data.shard_count,
        form=data.form,
        failed_clips=config["failed_clips"],
        code=data.code("pack.py"),
    shell:
        "python scripts/pack.py --manifest {input.manifest:q} --class-list {input.classes:q}"
        " --media-folder {params.media:q} --shard-index {wildcards.shard} --shards {params.shards:q}"
        " --locations {input.locations:q} --audio-rate {params.form[audio_rate]:q}"
        " --stated-audio-rate {params.form[stated_audio_rate]:q} --picked-from {params.form[picked_from]:q}"
        " --frame-rate {params.form[frame_rate]:q} --short-side {params.form[short_side]:q}"
        " --minimum-frames {params.form[minimum_frames]:q} --failed-clips {params.failed_clips:q}"
        " --processes {threads} --shard {output.shard:q} --availability {output.report:q} 2> {log:q}"


rule availability:
    """Join the shards' reports and stop where too few clips are usable."""
    input:
        manifest="results/{scale}/data/{dataset}/manifest.csv",
        reports=data.shard_reports,
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
        code=data.code("availability.py"),
    shell:
        "python scripts/availability.py --parts {input.reports:q} --manifest {input.manifest:q}"
        " --minimum-share {params.minimum_share} --output {output.availability:q} 2> {log:q}"
