rule weights:
    """Download published weights and check them; runs where the network is."""
    output:
        weights="results/weights/{weights}.pth",
    log:
        "results/weights/{weights}.log",
    benchmark:
        "results/weights/{weights}.tsv"
    wildcard_constraints:
        weights=train.weights_names,
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        address=train.weights_address,
        code=train.code("download.py"),
    shell:
        "python scripts/download.py {params.address:q} --output {output.weights:q} 2> {log:q}"


rule train:
    """Train a variant with one seed; killed, it goes on after its last epoch. Newer availability makes no net anew."""
    input:
        shards=data.shards,
        classes="results/{scale}/data/{dataset}/classes.txt",
        availability=ancient("results/{scale}/data/{dataset}/availability.csv"),
        weights=train.weights,
        start=train.start,
        found_options=train.found_options,
    output:
        model="results/{scale}/models/{dataset}/{variant}/s{seed}/model.pt",
        history="results/{scale}/models/{dataset}/{variant}/s{seed}/history.csv",
        provenance="results/{scale}/models/{dataset}/{variant}/s{seed}/train.json",
    log:
        "results/{scale}/logs/{dataset}/train_{variant}_s{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/train_{variant}_s{seed}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: train.threads("train")
    resources:
        gpu=train.gpus,
        device=train.device,
        mem_mb=train.memory_mb("train"),
        runtime=train.job_minutes,
    params:
        model_spec=train.model_spec,
        recipe=train.recipe,
        objective=train.objective,
        view=train.view,
        precision=train.precision("train"),
        weights_options=train.weights_options,
        stage_options=train.stage_options,
        start_options=train.start_options,
        torch_threads=train.threads("train"),
        code=train.code("train.py", "variant", "training"),
    shell:
        "python scripts/train.py --shards {input.shards:q} --class-list {input.classes:q}"
        " --model-spec {params.model_spec:q} --recipe {params.recipe:q} --objective {params.objective:q}"
        " --view {params.view:q} --precision {params.precision:q}"
        " {params.weights_options:q} {params.stage_options:q} {params.start_options:q}"
        " --seed {wildcards.seed} --device {resources.device:q} --threads {params.torch_threads:q} --code {params.code}"
        " --model {output.model:q} --history {output.history:q} --provenance {output.provenance:q} 2> {log:q}"


rule search:
    """Choose the options of a variant's objective on the validation clips, and write down what each candidate got."""
    input:
        shards=data.shards,
        classes="results/{scale}/data/{dataset}/classes.txt",
        start=train.search_start,
    output:
        chosen="results/{scale}/models/{dataset}/{variant}/search.json",
        candidates="results/{scale}/models/{dataset}/{variant}/search.csv",
        provenance="results/{scale}/models/{dataset}/{variant}/search_provenance.json",
    log:
        "results/{scale}/logs/{dataset}/search_{variant}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/search_{variant}.tsv"
    wildcard_constraints:
        variant=train.searched_variants,
    conda:
        "../../envs/environment.yaml"
    threads: train.threads("train")
    resources:
        gpu=train.gpus,
        device=train.device,
        mem_mb=train.memory_mb("train"),
        runtime=train.search_minutes,
    params:
        model_spec=train.model_spec,
        objective=train.objective,
        options=train.search_options,
        view=train.view,
        precision=train.precision("train"),
        seed=train.search_seed,
        torch_threads=train.threads("train"),
        code=train.code("search.py", "variant", "training", "search"),
    shell:
        "python scripts/search.py --shards {input.shards:q} --class-list {input.classes:q} --start {input.start:q}"
        " --model-spec {params.model_spec:q} --objective {params.objective:q} {params.options:q}"
        " --view {params.view:q} --precision {params.precision:q}"
        " --seed {params.seed:q} --device {resources.device:q} --threads {params.torch_threads:q} --code {params.code}"
        " --chosen {output.chosen:q} --candidates-csv {output.candidates:q}"
        " --provenance {output.provenance:q} 2> {log:q}"
