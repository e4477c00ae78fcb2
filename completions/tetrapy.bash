# Completion of tetrapy's command line for bash.
# Written by `python3 -m tools.settings_docs` from the table of settings. Do not edit.
_tetrapy() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local value=
    # bash takes the = of --flag=value for a word of its own.
    if [[ $current == = ]]; then
        current= value=1
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]} value=1
    fi
    case $previous in
    --log-level)
        mapfile -t COMPREPLY < <(compgen -W 'trace debug info warn warning error panic fatal' -- "$current")
        return
        ;;
    --log-format)
        mapfile -t COMPREPLY < <(compgen -W 'text text-ts json json-ts' -- "$current")
        return
        ;;
    --enable-ancestors)
        mapfile -t COMPREPLY < <(compgen -W 'base kprobe tracepoint loader uprobe lsm usdt' -- "$current")
        return
        ;;
    --username-metadata)
        mapfile -t COMPREPLY < <(compgen -W 'disabled unix' -- "$current")
        return
        ;;
    --sensor)
        mapfile -t COMPREPLY < <(compgen -W 'auto ebpf connector' -- "$current")
        return
        ;;
    --btf-inference)
        mapfile -t COMPREPLY < <(compgen -W 'auto archive off' -- "$current")
        return
        ;;
    --log-file | --export-filename | --btf | --btf-archive | --tracing-policy | --server-tls-cert-file | --server-tls-key-file | --cpuprofile | --memprofile | --k8s-kubeconfig-path)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --config-dir | --procfs | --bpf-lib | --tracing-policy-dir | --persist-grpc-policies-dir | --netns-dir)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --output | -o)
        mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$current")
        return
        ;;
    --stop-timeout | --cluster-name | --filter-environment-variables | --cgroup-rate | --process-cache-size | --process-cache-max-bytes | --process-cache-gc-interval | --event-cache-retries | --event-cache-retry-delay | --export-file-perm | --export-file-max-size-mb | --export-file-rotation-interval | --export-file-max-backups | --export-file-max-age | --export-file-user-share | --export-event-max-bytes | --export-rate-limit | --export-aggregation-window-size | --export-aggregation-buffer-size | --export-allowlist | --export-denylist | --field-filters | --redaction-filters | --rb-size | --rb-size-total | --execve-map-entries | --execve-map-size | --data-cache-size | --rb-queue-size | --verbose | --bpf-dir | --kernel | --metrics-server | --metrics-label-filter | --healthz-address | --health-server-address | --health-server-interval | --server-address | --server-tls-client-ca-files | --event-queue-size | --gops-address | --pprof-address | --kmods | --retprobes-cache-size | --sleepable-preload-size | --parents-map-entries | --parents-map-size | --k8s-controlplane-retry | --deleted-pod-cache-size | --cri-endpoint)
        return
        ;;
    esac
    if [[ -n $value && ' --debug --raise-priority --generate-docs --enable-process-cred --enable-executed-file --enable-process-ns --enable-process-ancestors --enable-process-environment-variables --disable-process-cache --export-file-compress --enable-export-aggregation --enable-pid-set-filter --kernel-filters --use-perf-ring-buffer --force-small-progs --force-large-progs --release-pinned-bpf --keep-sensors-on-exit --btf-check --tracing-policy-strict --enable-event-metrics --enable-msg-handling-latency --server-tls-require-client-cert --persist-grpc-policies --enable-deprecated-tracingpolicy-grpc --disable-kprobe-multi --expose-stack-addresses --parents-map-enabled --enable-policy-filter --enable-policy-filter-cgroup-map --enable-policy-filter-debug --enable-k8s-api --enable-pod-annotations --enable-pod-info --enable-tracing-policy-crd --enable-cri --enable-cgidmap --enable-cgidmap-debug --enable-cgtrackerid ' == *" $previous "* ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$current")
    elif [[ ${COMP_WORDS[1]} == btf && COMP_CWORD -gt 1 ]]; then
        [[ $COMP_CWORD -gt 2 ]] ||
            mapfile -t COMPREPLY < <(compgen -W 'list which verify diff add remove harvest pack merge' -- "$current")
    elif [[ ${COMP_WORDS[1]} == policy && COMP_CWORD -eq 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'check schema' -- "$current")
    elif [[ ${COMP_WORDS[1]} == policy && COMP_CWORD -gt 2 ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    elif [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'config btf policy help' -- "$current")
    elif [[ ${COMP_WORDS[1]} == config ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--changed --output --config-dir --debug --log-level --log-format --log-file --procfs --stop-timeout --raise-priority --generate-docs --cluster-name --enable-process-cred --enable-executed-file --enable-process-ns --enable-ancestors --enable-process-ancestors --enable-process-environment-variables --filter-environment-variables --username-metadata --cgroup-rate --process-cache-size --process-cache-max-bytes --process-cache-gc-interval --disable-process-cache --event-cache-retries --event-cache-retry-delay --export-filename --export-file-perm --export-file-max-size-mb --export-file-rotation-interval --export-file-max-backups --export-file-max-age --export-file-compress --export-file-user-share --export-event-max-bytes --export-rate-limit --enable-export-aggregation --export-aggregation-window-size --export-aggregation-buffer-size --export-allowlist --export-denylist --field-filters --redaction-filters --enable-pid-set-filter --kernel-filters --sensor --rb-size --rb-size-total --use-perf-ring-buffer --execve-map-entries --execve-map-size --data-cache-size --rb-queue-size --force-small-progs --force-large-progs --verbose --bpf-dir --release-pinned-bpf --keep-sensors-on-exit --btf --bpf-lib --btf-inference --btf-archive --btf-check --kernel --tracing-policy --tracing-policy-dir --tracing-policy-strict --metrics-server --enable-event-metrics --metrics-label-filter --enable-msg-handling-latency --healthz-address --health-server-address --health-server-interval --server-address --server-tls-cert-file --server-tls-key-file --server-tls-client-ca-files --server-tls-require-client-cert --event-queue-size --persist-grpc-policies --persist-grpc-policies-dir --enable-deprecated-tracingpolicy-grpc --gops-address --pprof-address --cpuprofile --memprofile --disable-kprobe-multi --expose-stack-addresses --kmods --retprobes-cache-size --sleepable-preload-size --parents-map-enabled --parents-map-entries --parents-map-size --netns-dir --enable-policy-filter --enable-policy-filter-cgroup-map --enable-policy-filter-debug --enable-k8s-api --k8s-kubeconfig-path --k8s-controlplane-retry --enable-pod-annotations --enable-pod-info --enable-tracing-policy-crd --deleted-pod-cache-size --enable-cri --cri-endpoint --enable-cgidmap --enable-cgidmap-debug --enable-cgtrackerid --help --version' -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W '--config-dir --debug --log-level --log-format --log-file --procfs --stop-timeout --raise-priority --generate-docs --cluster-name --enable-process-cred --enable-executed-file --enable-process-ns --enable-ancestors --enable-process-ancestors --enable-process-environment-variables --filter-environment-variables --username-metadata --cgroup-rate --process-cache-size --process-cache-max-bytes --process-cache-gc-interval --disable-process-cache --event-cache-retries --event-cache-retry-delay --export-filename --export-file-perm --export-file-max-size-mb --export-file-rotation-interval --export-file-max-backups --export-file-max-age --export-file-compress --export-file-user-share --export-event-max-bytes --export-rate-limit --enable-export-aggregation --export-aggregation-window-size --export-aggregation-buffer-size --export-allowlist --export-denylist --field-filters --redaction-filters --enable-pid-set-filter --kernel-filters --sensor --rb-size --rb-size-total --use-perf-ring-buffer --execve-map-entries --execve-map-size --data-cache-size --rb-queue-size --force-small-progs --force-large-progs --verbose --bpf-dir --release-pinned-bpf --keep-sensors-on-exit --btf --bpf-lib --btf-inference --btf-archive --btf-check --kernel --tracing-policy --tracing-policy-dir --tracing-policy-strict --metrics-server --enable-event-metrics --metrics-label-filter --enable-msg-handling-latency --healthz-address --health-server-address --health-server-interval --server-address --server-tls-cert-file --server-tls-key-file --server-tls-client-ca-files --server-tls-require-client-cert --event-queue-size --persist-grpc-policies --persist-grpc-policies-dir --enable-deprecated-tracingpolicy-grpc --gops-address --pprof-address --cpuprofile --memprofile --disable-kprobe-multi --expose-stack-addresses --kmods --retprobes-cache-size --sleepable-preload-size --parents-map-enabled --parents-map-entries --parents-map-size --netns-dir --enable-policy-filter --enable-policy-filter-cgroup-map --enable-policy-filter-debug --enable-k8s-api --k8s-kubeconfig-path --k8s-controlplane-retry --enable-pod-annotations --enable-pod-info --enable-tracing-policy-crd --deleted-pod-cache-size --enable-cri --cri-endpoint --enable-cgidmap --enable-cgidmap-debug --enable-cgtrackerid --help --version' -- "$current")
    fi
}
complete -F _tetrapy tetrapy tetrapy.pyz
