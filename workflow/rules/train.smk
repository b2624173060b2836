rule imagenet_weights:
    """Download torchvision's ResNet-18 weights and check them; runs where the network is."""
    output:
        weights="results/weights/resnet18_imagenet.pth",
    log:
        "results/weights/download.log",
    benchmark:
        "results/weights/download.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
        sha256="f37072fd",
        code=plan.code("download.py"),
    shell:
        "python scripts/download.py --url {params.url:q} --sha256 {params.sha256:q} --output {output.weights:q}"
        " 2> {log:q}"


rule train:
    """Train a variant with one seed; killed, it goes on after its last epoch. Newer availability makes no net anew."""
    input:
        shards=plan.shards,
        classes="results/{scale}/data/{dataset}/classes.txt",
        availability=ancient("results/{scale}/data/{dataset}/availability.csv"),
        imagenet_weights=plan.imagenet_weights,
        start=plan.start,
        found_options=plan.found_options,
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
    threads: plan.threads("train")
    resources:
        gpu=plan.gpus,
        device=plan.device,
        mem_mb=plan.memory_mb("train"),
        runtime=plan.train_minutes,
    params:
        model_spec=plan.model_spec,
        recipe=plan.recipe,
        objective=plan.objective,
        options=plan.training_views,
        weights_options=plan.weights_options,
        stage_options=plan.stage_options,
        start_options=plan.start_options,
        torch_threads=plan.threads("train"),
        code=plan.code("train.py", "variant"),
    shell:
        "python scripts/train.py --shards {input.shards:q} --class-list {input.classes:q}"
        " --model-spec {params.model_spec:q} --recipe {params.recipe:q} --objective {params.objective:q}"
        " {params.options:q} {params.weights_options:q} {params.stage_options:q} {params.start_options:q}"
        " --seed {wildcards.seed} --device {resources.device:q} --threads {params.torch_threads:q} --code {params.code}"
        " --model {output.model:q} --history {output.history:q} --provenance {output.provenance:q} 2> {log:q}"


rule search:
    """Choose the options of a variant's objective on the validation clips, and write down what each candidate got."""
    input:
        shards=plan.shards,
        classes="results/{scale}/data/{dataset}/classes.txt",
        start=plan.search_start,
    output:
        chosen="results/{scale}/models/{dataset}/{variant}/search.json",
        candidates="results/{scale}/models/{dataset}/{variant}/search.csv",
        provenance="results/{scale}/models/{dataset}/{variant}/search_provenance.json",
    log:
        "results/{scale}/logs/{dataset}/search_{variant}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/search_{variant}.tsv"
    wildcard_constraints:
        variant=plan.searched_variants,
    conda:
        "../../envs/environment.yaml"
    threads: plan.threads("train")
    resources:
        gpu=plan.gpus,
        device=plan.device,
        mem_mb=plan.memory_mb("train"),
        runtime=plan.search_minutes,
    params:
        model_spec=plan.model_spec,
        objective=plan.objective,
        options=plan.search_options,
        views=plan.training_views,
        seed=plan.search_seed,
        torch_threads=plan.threads("train"),
        code=plan.code("search.py", "variant", "search"),
    shell:
        "python scripts/search.py --shards {input.shards:q} --class-list {input.classes:q} --start {input.start:q}"
        " --model-spec {params.model_spec:q} --objective {params.objective:q} {params.options:q} {params.views:q}"
        " --seed {params.seed:q} --device {resources.device:q} --threads {params.torch_threads:q} --code {params.code}"
        " --chosen {output.chosen:q} --candidates-csv {output.candidates:q}"
        " --provenance {output.provenance:q} 2> {log:q}"
