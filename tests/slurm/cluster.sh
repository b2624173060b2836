#!/usr/bin/env bash
# A real SLURM of one node on this machine, to try the workflow and to test it: cluster.sh start|stop|status|use|release
# use starts it for the process that calls, unless it is up; release stops what use started, after the last of these.
# For root on Debian or Ubuntu. No systemd and no accounting database; only this machine can reach it. GPUs and some of
# the CPUs are pretended: programs do without by device=cuda_or_cpu. docs/slurm.md says more.
set -euo pipefail

mark="# Written by tests/slurm/cluster.sh, removed by its stop."
configuration=/etc/slurm
home=/var/lib/avrobust-slurm # state, job scripts, process ids, logs
munge_id=/run/munge/avrobust.pid
name=avrobust # of the cluster, by which it is told from another one
users=$home/users # a file for each process that uses it, called by its id
for_users=$home/started_by_use
export PATH="$PATH:/usr/sbin:/sbin"

say() { echo "cluster: $*"; }
fail() { echo "error: $*" >&2; exit 1; }

# Print the process id in a file if a program of that name runs under it (Debian adds -wlm); a zombie has none.
process() {
  local id
  id=$(cat "$1" 2>/dev/null) && [[ $(readlink "/proc/$id/exe") == */$2* ]] && echo "$id"
}

# Repeat a command until it succeeds, for some seconds.
within() {
  local end=$((SECONDS + $1))
  until "${@:2}" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

end_process() {
  local id
  id=$(process "$@") || return 0
  kill "$id"
  within 15 gone "$@" || kill -KILL "$id"
}

gone() { ! process "$@"; }
munge_works() { munge -n | unmunge; }
no_jobs() { [[ -z $(squeue --noheader) ]]; }
node_up() { [[ $(sinfo --noheader --format=%T) =~ idle|mixed|allocated|drain ]]; }
# What a SLURM that answers here calls itself; a site's own may have its configuration anywhere, or none here.
answering() { timeout 10 scontrol show config 2>/dev/null | sed -n 's/^ClusterName *= *//p'; }
in_use() {
  local file
  for file in "$users"/*; do
    if kill -0 "${file##*/}" 2>/dev/null; then echo "${file##*/}"; else rm -f "$file"; fi
  done
}
only_ours() { [[ ! -e $1 ]] || grep --quiet --line-regexp --fixed-strings "$mark" "$1"; }

install_packages() {
  local package missing=()
  for package in munge slurmctld slurmd slurm-client; do
    dpkg --status "$package" 2>/dev/null | grep --quiet "^Status: .* installed" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || fail "no apt-get here; install ${missing[*]}, then: $0 start"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } >"$home/apt.log" 2>&1 ||
    fail "apt-get could not install ${missing[*]}; see $home/apt.log"
}

configure() {
  local node memory cpus
  node=$(hostname --short) cpus=$(nproc) memory=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
  mkdir -p "$configuration"
  # A GPU has to be a device file of its own; nothing ever opens these two.
  printf '%s\n' "$mark" "Name=gpu Type=pretended File=/dev/null" "Name=gpu Type=pretended File=/dev/zero" \
    >"$configuration/gres.conf"
  cat >"$configuration/slurm.conf" <<CONF
$mark
ClusterName=$name
SlurmctldHost=$node(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=slurm
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdLogFile=$home/slurmd.log
# No control groups: processes are followed by their parents, and memory is looked at every second.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# A lost node is taken back as soon as it answers.
ReturnToService=2
# Jobs start at once; a requeued one waits 10 s and not 2 min; 5 s lie between TERM and KILL.
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
AuthInfo=cred_expire=10
KillWait=5
# squeue still knows a job so long after its end; the profile polls with squeue.
MinJobAge=600
# A job that fits nowhere is refused and does not wait for ever.
EnforcePartLimits=ALL
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
# A job in cpu or gpu takes the place of one in preemptible, which gets a TERM, 15 s, and goes back into the queue.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$node NodeAddr=127.0.0.1 CPUs=$((cpus > 4 ? cpus : 4)) RealMemory=$memory Gres=gpu:pretended:2
PartitionName=DEFAULT Nodes=ALL DefaultTime=10 MaxTime=1-0 DefMemPerCPU=500 PriorityTier=2 PreemptMode=OFF
PartitionName=cpu Default=YES
PartitionName=gpu
PartitionName=preemptible PriorityTier=1 PreemptMode=REQUEUE GraceTime=15
CONF
}

start() {
  for file in "$configuration"/{slurm,gres}.conf; do
    only_ours "$file" || fail "$file is not of this script, which never changes it; use the SLURM that it belongs to"
  done
  mkdir -p "$home"
  install_packages
  configure
  install --directory --owner=slurm "$home/state" "$home"
  install --directory --owner=munge /run/munge
  munge_works >/dev/null 2>&1 || runuser --user munge -- munged --pid-file="$munge_id"
  within 10 munge_works || fail "munge does not answer; see /var/log/munge/munged.log"
  process "$home/slurmctld.pid" slurmctld >/dev/null || slurmctld
  within 20 scontrol ping || fail "slurmctld does not answer; see $home/slurmctld.log"
  process "$home/slurmd.pid" slurmd >/dev/null || slurmd
  within 20 node_up || fail "the node does not come up; see $home/slurmd.log"
  status
}

stop() {
  local ids
  ids=$(in_use | xargs)
  [[ -z $ids ]] || fail "the cluster is in use by the processes $ids; stop it when they have ended"
  if process "$home/slurmctld.pid" slurmctld >/dev/null && ! no_jobs; then
    say "cancelling the jobs"
    squeue --noheader --format=%A | xargs --no-run-if-empty scancel
    within 20 no_jobs || say "some jobs do not end; killing them"
  fi
  end_process "$home/slurmd.pid" slurmd
  end_process "$home/slurmctld.pid" slurmctld
  # What outlived its job, or SLURM; some of it may be ending just now.
  grep --files-with-matches --null-data --line-regexp --no-messages "SLURM_CLUSTER_NAME=$name" /proc/[0-9]*/environ |
    cut --delimiter=/ --fields=3 | xargs --no-run-if-empty kill -KILL 2>/dev/null || true
  end_process "$munge_id" munged
  for file in "$configuration"/{slurm,gres}.conf; do ! only_ours "$file" || rm -f "$file"; done
  rm -rf "$home/state" "$home/spool" "$for_users"
  say "stopped; the logs stay in $home"
}

status() {
  if [[ $(answering) == "$name" ]] && timeout 10 sinfo --Node --format="%N %P %T %c CPUs, %m MB, %G" 2>/dev/null
  then say "running"; else say "not running"; return 3; fi
}

use() {
  if status; then say "shared with whoever started it"; else
    start
    touch "$for_users"
  fi
  mkdir -p "$users"
  touch "$users/$PPID"
}

release() {
  rm -f "$users/$PPID"
  if [[ -e $for_users && -z $(in_use) ]]; then stop; else say "left running for others"; fi
}

[[ ${1:-} =~ ^(start|stop|status|use|release)$ ]] || fail "say what to do: $0 start|stop|status|use|release"
[[ $1 == status || $(id --user) == 0 ]] || fail "SLURM's daemons are root's; run: sudo $0 $1"
[[ $1 != status ]] || { status; exit; }
found=$(answering) || true
[[ -z $found || $found == "$name" ]] ||
  fail "the SLURM that answers here, $found, is not of this script; it stays as it is"
# One at a time.
mkdir -p "$home"
exec 8>"$home/lock"
flock 8
# What is started must not hold the lock.
"$1" 8>&-
