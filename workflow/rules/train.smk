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
        file=train.published,
        code=train.code("download.py"),
    shell:
        "python scripts/download.py --url {params.file[url]:q} --sha256 {params.file[sha256]:q}"
        " --output {output.weights:q} 2> {log:q}"


rule train:
    """Train a variant with one seed; killed, it goes on after its last epoch. Newer availability makes no net anew."""
    input:
        shards=data.shards,
        classes="results/{scale}/data/{dataset}/classes.txt",
        availability=ancient("results/{scale}/data/{dataset}/availability.csv"),
        weights=train.weights,
        start=train.start,
        branches=train.branches,
        moments=train.moments,
        budgets=train.budget_files,
        geometry=train.geometry,
        found_options=train.found_options,
    output:
        model="results/{scale}/models/{dataset}/{variant}/s{seed}/model.pt",
        history="results/{scale}/models/{dataset}/{variant}/s{seed}/history.csv",
        provenance="results/{scale}/models/{dataset}/{variant}/s{seed}/train.json",
    log:
        "results/{scale}/logs/{dataset}/train_{variant}_s{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/train_{variant}_s{seed}.tsv"
    priority: 1
    conda:
        "../../envs/environment.yaml"
    threads: train.threads("train")
    resources:
        gpu=train.gpus,
        device=train.device,
        mem_mb=train.memory_mb("train"),
        runtime=train.job_minutes,
    params:
        told=train.told,
        precision=train.precision("train"),
        torch_threads=train.threads("train"),
        code=train.code("train.py", "variant", "training"),
    shell:
        "python scripts/train.py --shards {input.shards:q} --class-list {input.classes:q}"
        " --model-spec {params.told[model_spec]:q} --recipe {params.told[recipe]:q}"
        " --objective {params.told[objective]:q} --view {params.told[view]:q} --precision {params.precision:q}"
        " --weights {params.told[weights]:q} --start {input.start:q} --found-options {input.found_options:q}"
        " --branches {params.told[branches]:q} --moments {input.moments:q}"
        " --budget-files {input.budgets:q} --geometry {input.geometry:q}"
        " --kept-features {params.told[kept_features]:q} --memory {params.told[memory]:q}"
        " --variant {wildcards.variant:q} --seed {wildcards.seed} --device {resources.device:q}"
        " --threads {params.torch_threads:q} --code {params.code}"
        " --model {output.model:q} --history {output.history:q} --provenance {output.provenance:q} 2> {log:q}"


rule craft:
    """Craft a batch as an adversarial training does, on the net that it starts from, and keep what becomes of a clip."""
    input:
        shards=data.shards,
        classes="results/{scale}/data/{dataset}/classes.txt",
        start=train.start,
        budgets=train.budget_files,
    output:
        kept="results/{scale}/crafting/{dataset}/{variant}/s{seed}.npz",
        provenance="results/{scale}/crafting/{dataset}/{variant}/s{seed}.json",
    log:
        "results/{scale}/logs/{dataset}/craft_{variant}_s{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/{dataset}/craft_{variant}_s{seed}.tsv"
    wildcard_constraints:
        variant=train.crafting_variants,
    conda:
        "../../envs/environment.yaml"
    threads: train.threads("train")
    resources:
        gpu=train.gpus,
        device=train.device,
        mem_mb=train.memory_mb("train"),
        runtime=train.crafting_minutes,
    params:
        told=train.told_to_craft,
        precision=train.precision("train"),
        torch_threads=train.threads("train"),
        code=train.code("craft.py", "variant", "training"),
    shell:
        "python scripts/craft.py --shards {input.shards:q} --class-list {input.classes:q} --start {input.start:q}"
        " --model-spec {params.told[model_spec]:q} --recipe {params.told[recipe]:q}"
        " --objective {params.told[objective]:q} --view {params.told[view]:q} --precision {params.precision:q}"
        " --budget-files {input.budgets:q} --key {params.told[key]:q} {params.told[clip]:q}"
        " --variant {wildcards.variant:q} --seed {wildcards.seed} --device {resources.device:q}"
        " --threads {params.torch_threads:q} --code {params.code} --kept {output.kept:q}"
        " --provenance {output.provenance:q} 2> {log:q}"


rule search:
    """Choose the options of a variant's objective on the validation clips, and write down what each candidate got."""
    input:
        shards=data.shards,
        classes="results/{scale}/data/{dataset}/classes.txt",
        start=train.search_start,
        budgets=train.budget_files,
        geometry=train.geometry,
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
    priority: 1
    conda:
        "../../envs/environment.yaml"
    threads: train.threads("train")
    resources:
        gpu=train.gpus,
        device=train.device,
        mem_mb=train.memory_mb("train"),
        runtime=train.search_minutes,
    params:
        told=train.told_to_search,
        precision=train.precision("train"),
        seed=train.search_seed,
        torch_threads=train.threads("train"),
        code=train.code("search.py", "variant", "training", "search"),
    shell:
        "python scripts/search.py --shards {input.shards:q} --class-list {input.classes:q} --start {input.start:q}"
        " --model-spec {params.told[model_spec]:q} --objective {params.told[objective]:q}"
        " --candidates {params.told[candidates]:q} --recipe {params.told[recipe]:q}"
        " --attack-spec {params.told[attack]:q} --budget {params.told[budget]:q}"
        " --model-state {params.told[model_state]:q} --epsilon-space {params.told[epsilon_space]:q}"
        " --view {params.told[view]:q} --precision {params.precision:q}"
        " --budget-files {input.budgets:q} --geometry {input.geometry:q}"
        " --variant {wildcards.variant:q} --seed {params.seed:q} --device {resources.device:q} --threads {params.torch_threads:q} --code {params.code}"
        " --chosen {output.chosen:q} --candidates-csv {output.candidates:q} --provenance {output.provenance:q}"
        " 2> {log:q}"
