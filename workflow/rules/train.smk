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
        mem_mb=plan.memory_mb("train"),
        runtime=plan.minutes("train"),
    params:
        model_spec=plan.model_spec,
        recipe=plan.recipe,
        objective=plan.objective,
        options=plan.training_views,
        weights_options=plan.weights_options,
        torch_threads=plan.threads("train"),
        code=plan.code("train.py", "variant"),
    shell:
        "python scripts/train.py --shards {input.shards:q} --class-list {input.classes:q}"
        " --model-spec {params.model_spec:q} --recipe {params.recipe:q} {params.options:q} {params.weights_options:q}"
        " --objective {params.objective:q} --seed {wildcards.seed} --threads {params.torch_threads:q} --code {params.code}"
        " --model {output.model:q} --history {output.history:q} --provenance {output.provenance:q} 2> {log:q}"
