# Completion of tetrapy's command line for bash.
# Written by `python3 -m tools.settings_docs` from the table of settings. Do not edit.
_tetrapy_client() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command= words= at
    # bash takes the = of --flag=value for a word of its own.
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        case "$command ${COMP_WORDS[at]}" in
            ' getevents') command='getevents' ;;
            ' version') command='version' ;;
            ' status') command='status' ;;
            ' info') command='info' ;;
            ' loglevel' | ' log') command='loglevel' ;;
            'loglevel get') command='loglevel get' ;;
            'loglevel set') command='loglevel set' ;;
            ' eventlog') command='eventlog' ;;
            'eventlog get') command='eventlog get' ;;
            'eventlog set') command='eventlog set' ;;
            ' tracingpolicy' | ' tp') command='tracingpolicy' ;;
            'tracingpolicy add') command='tracingpolicy add' ;;
            'tracingpolicy delete') command='tracingpolicy delete' ;;
            'tracingpolicy enable') command='tracingpolicy enable' ;;
            'tracingpolicy disable') command='tracingpolicy disable' ;;
            'tracingpolicy set-mode') command='tracingpolicy set-mode' ;;
            'tracingpolicy list') command='tracingpolicy list' ;;
            'tracingpolicy domains') command='tracingpolicy domains' ;;
            'tracingpolicy modify') command='tracingpolicy modify' ;;
            'tracingpolicy generate') command='tracingpolicy generate' ;;
            'tracingpolicy generate empty') command='tracingpolicy generate empty' ;;
            'tracingpolicy generate all-syscalls') command='tracingpolicy generate all-syscalls' ;;
            'tracingpolicy generate all-syscalls-list') command='tracingpolicy generate all-syscalls-list' ;;
            'tracingpolicy generate ftrace-list') command='tracingpolicy generate ftrace-list' ;;
            'tracingpolicy generate uprobes') command='tracingpolicy generate uprobes' ;;
            'tracingpolicy generate usdts') command='tracingpolicy generate usdts' ;;
            ' sensors') command='sensors' ;;
            'sensors list') command='sensors list' ;;
            'sensors enable') command='sensors enable' ;;
            'sensors disable') command='sensors disable' ;;
            'sensors rm') command='sensors rm' ;;
            ' probe') command='probe' ;;
            'probe config') command='probe config' ;;
            ' bugtool') command='bugtool' ;;
            ' cri') command='cri' ;;
            'cri version') command='cri version' ;;
            'cri cgroup_path') command='cri cgroup_path' ;;
            ' rthooks') command='rthooks' ;;
            'rthooks create-container') command='rthooks create-container' ;;
            ' dump') command='dump' ;;
            'dump processcache' | 'dump processCache') command='dump processcache' ;;
            'dump execve') command='dump execve' ;;
            'dump policyfilter') command='dump policyfilter' ;;
            'dump errmetrics') command='dump errmetrics' ;;
            ' debug') command='debug' ;;
            'debug dump') command='debug dump' ;;
            'debug dump processcache' | 'debug dump processCache') command='debug dump processcache' ;;
            'debug dump execve') command='debug dump execve' ;;
            'debug dump policyfilter') command='debug dump policyfilter' ;;
            'debug dump errmetrics') command='debug dump errmetrics' ;;
            'debug progs' | 'debug top') command='debug progs' ;;
            'debug maps' | 'debug map') command='debug maps' ;;
            'debug enable-stats') command='debug enable-stats' ;;
            ' policyfilter') command='policyfilter' ;;
            'policyfilter cgroupid') command='policyfilter cgroupid' ;;
            'policyfilter dump') command='policyfilter dump' ;;
            'policyfilter add') command='policyfilter add' ;;
            'policyfilter listpolicies') command='policyfilter listpolicies' ;;
            ' cgtracker') command='cgtracker' ;;
            'cgtracker dump') command='cgtracker dump' ;;
            'cgtracker add') command='cgtracker add' ;;
            ' policytest' | ' pt') command='policytest' ;;
            'policytest list') command='policytest list' ;;
            'policytest dump-policy') command='policytest dump-policy' ;;
            'policytest run') command='policytest run' ;;
            ' explain') command='explain' ;;
            ' completion') command='completion' ;;
        esac
    done
    case "$command $previous" in
        *' --server-address')
            return
            ;;
        *' --timeout')
            return
            ;;
        *' --retries')
            return
            ;;
        *' --max-recv-size')
            return
            ;;
        *' --tls-cert-file')
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        *' --tls-key-file')
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        *' --tls-ca-cert-files')
            return
            ;;
        *' --tls-server-name')
            return
            ;;
        'getevents --output' | 'getevents -o')
            mapfile -t COMPREPLY < <(compgen -W 'json compact' -- "$current")
            return
            ;;
        'getevents --color')
            mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$current")
            return
            ;;
        'getevents --include-fields' | 'getevents -f')
            return
            ;;
        'getevents --event-types' | 'getevents -e')
            mapfile -t COMPREPLY < <(compgen -W 'PROCESS_EXEC PROCESS_EXIT PROCESS_KPROBE PROCESS_LOADER PROCESS_LSM PROCESS_THROTTLE PROCESS_TRACEPOINT PROCESS_UPROBE PROCESS_USDT RATE_LIMIT_INFO TEST UNDEF' -- "$current")
            return
            ;;
        'getevents --exclude-fields' | 'getevents -F')
            return
            ;;
        'getevents --namespace' | 'getevents -n')
            return
            ;;
        'getevents --process')
            return
            ;;
        'getevents --pod')
            return
            ;;
        'getevents --tty-encode' | 'getevents -t')
            return
            ;;
        'getevents --policy-names')
            return
            ;;
        'getevents --namespace-regex')
            return
            ;;
        'getevents --cel-expression')
            return
            ;;
        'getevents --reconnect-wait')
            return
            ;;
        'eventlog set --max-size')
            return
            ;;
        'eventlog set --max-backups')
            return
            ;;
        'eventlog set --rotation-interval')
            return
            ;;
        'tracingpolicy add --mode' | 'tracingpolicy add -m')
            mapfile -t COMPREPLY < <(compgen -W 'enforce monitor' -- "$current")
            return
            ;;
        'tracingpolicy add --domain')
            return
            ;;
        'tracingpolicy delete --namespace' | 'tracingpolicy delete -n')
            return
            ;;
        'tracingpolicy delete --domain')
            return
            ;;
        'tracingpolicy enable --namespace' | 'tracingpolicy enable -n')
            return
            ;;
        'tracingpolicy enable --domain')
            return
            ;;
        'tracingpolicy disable --namespace' | 'tracingpolicy disable -n')
            return
            ;;
        'tracingpolicy disable --domain')
            return
            ;;
        'tracingpolicy set-mode --namespace' | 'tracingpolicy set-mode -n')
            return
            ;;
        'tracingpolicy set-mode --domain')
            return
            ;;
        'tracingpolicy list --output' | 'tracingpolicy list -o')
            mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$current")
            return
            ;;
        'tracingpolicy list --domain')
            return
            ;;
        'tracingpolicy domains --output' | 'tracingpolicy domains -o')
            mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$current")
            return
            ;;
        'tracingpolicy modify --mode' | 'tracingpolicy modify -m')
            mapfile -t COMPREPLY < <(compgen -W 'enforce monitor' -- "$current")
            return
            ;;
        'tracingpolicy generate all-syscalls --match-binary' | 'tracingpolicy generate all-syscalls -m')
            return
            ;;
        'tracingpolicy generate all-syscalls-list --match-binary' | 'tracingpolicy generate all-syscalls-list -m')
            return
            ;;
        'tracingpolicy generate ftrace-list --regex' | 'tracingpolicy generate ftrace-list -r')
            return
            ;;
        'tracingpolicy generate ftrace-list --match-binary' | 'tracingpolicy generate ftrace-list -m')
            return
            ;;
        'tracingpolicy generate uprobes --binary' | 'tracingpolicy generate uprobes -b')
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        'tracingpolicy generate uprobes --match-binary' | 'tracingpolicy generate uprobes -m')
            return
            ;;
        'tracingpolicy generate usdts --binary' | 'tracingpolicy generate usdts -b')
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        'tracingpolicy generate usdts --match-binary' | 'tracingpolicy generate usdts -m')
            return
            ;;
        'probe --output' | 'probe -o')
            mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$current")
            return
            ;;
        'bugtool --out' | 'bugtool -o')
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        'cri version --output' | 'cri version -o')
            mapfile -t COMPREPLY < <(compgen -W 'raw json' -- "$current")
            return
            ;;
        'cri version --runtime-endpoint' | 'cri version -r')
            return
            ;;
        'cri cgroup_path --output' | 'cri cgroup_path -o')
            mapfile -t COMPREPLY < <(compgen -W 'raw json' -- "$current")
            return
            ;;
        'cri cgroup_path --runtime-endpoint' | 'cri cgroup_path -r')
            return
            ;;
        'rthooks create-container --container-id')
            return
            ;;
        'rthooks create-container --root-dir')
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        'rthooks create-container --annotations')
            return
            ;;
        'dump execve --output' | 'dump execve -o')
            mapfile -t COMPREPLY < <(compgen -W 'tab json' -- "$current")
            return
            ;;
        'dump policyfilter --output' | 'dump policyfilter -o')
            mapfile -t COMPREPLY < <(compgen -W 'tab json' -- "$current")
            return
            ;;
        'dump errmetrics --output' | 'dump errmetrics -o')
            mapfile -t COMPREPLY < <(compgen -W 'tab json' -- "$current")
            return
            ;;
        'debug dump execve --output' | 'debug dump execve -o')
            mapfile -t COMPREPLY < <(compgen -W 'tab json' -- "$current")
            return
            ;;
        'debug dump policyfilter --output' | 'debug dump policyfilter -o')
            mapfile -t COMPREPLY < <(compgen -W 'tab json' -- "$current")
            return
            ;;
        'debug dump errmetrics --output' | 'debug dump errmetrics -o')
            mapfile -t COMPREPLY < <(compgen -W 'tab json' -- "$current")
            return
            ;;
        'debug progs --timeout')
            return
            ;;
        'debug maps --lines' | 'debug maps -n')
            return
            ;;
        'debug maps --output' | 'debug maps -o')
            mapfile -t COMPREPLY < <(compgen -W 'tab json' -- "$current")
            return
            ;;
        'policyfilter add --arg-type')
            mapfile -t COMPREPLY < <(compgen -W 'file id' -- "$current")
            return
            ;;
        'policyfilter listpolicies --runtime-endpoint' | 'policyfilter listpolicies -r')
            return
            ;;
        'policyfilter listpolicies --cgroup-mount')
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        'explain --output' | 'explain -o')
            mapfile -t COMPREPLY < <(compgen -W 'text json yaml' -- "$current")
            return
            ;;
        'explain --api-version')
            return
            ;;
    esac
    case $command in
        '') words='getevents version status info loglevel eventlog tracingpolicy probe bugtool cri explain completion' ;;
        'getevents') words='--output --color --include-fields --event-types --exclude-fields --namespace --process --pod --host --timestamps --tty-encode --stack-traces --ima-hash --policy-names --namespace-regex --cel-expression --reconnect --reconnect-wait' ;;
        'version') words='--server --build' ;;
        'status') words='' ;;
        'info') words='' ;;
        'loglevel') words='get set' ;;
        'loglevel get') words='' ;;
        'loglevel set') words='' ;;
        'eventlog') words='get set' ;;
        'eventlog get') words='' ;;
        'eventlog set') words='--max-size --max-backups --rotation-interval' ;;
        'tracingpolicy') words='add delete enable disable set-mode list domains modify generate' ;;
        'tracingpolicy add') words='--mode --domain' ;;
        'tracingpolicy delete') words='--namespace --domain' ;;
        'tracingpolicy enable') words='--namespace --domain' ;;
        'tracingpolicy disable') words='--namespace --domain' ;;
        'tracingpolicy set-mode') words='--namespace --domain' ;;
        'tracingpolicy list') words='--output --domain' ;;
        'tracingpolicy domains') words='--output' ;;
        'tracingpolicy modify') words='--mode' ;;
        'tracingpolicy generate') words='empty all-syscalls all-syscalls-list ftrace-list uprobes usdts' ;;
        'tracingpolicy generate empty') words='' ;;
        'tracingpolicy generate all-syscalls') words='--match-binary' ;;
        'tracingpolicy generate all-syscalls-list') words='--match-binary' ;;
        'tracingpolicy generate ftrace-list') words='--regex --match-binary' ;;
        'tracingpolicy generate uprobes') words='--binary --match-binary' ;;
        'tracingpolicy generate usdts') words='--binary --match-binary' ;;
        'sensors') words='list enable disable rm' ;;
        'sensors list') words='' ;;
        'sensors enable') words='' ;;
        'sensors disable') words='' ;;
        'sensors rm') words='' ;;
        'probe') words='config --output' ;;
        'probe config') words='' ;;
        'bugtool') words='--out' ;;
        'cri') words='version cgroup_path' ;;
        'cri version') words='--output --runtime-endpoint' ;;
        'cri cgroup_path') words='--output --runtime-endpoint' ;;
        'rthooks') words='create-container' ;;
        'rthooks create-container') words='--container-id --root-dir --annotations' ;;
        'dump') words='processcache execve policyfilter errmetrics' ;;
        'dump processcache') words='--skip-zero-refcnt --exclude-execve-map-processes' ;;
        'dump execve') words='--output' ;;
        'dump policyfilter') words='--output' ;;
        'dump errmetrics') words='--output' ;;
        'debug') words='dump progs maps enable-stats' ;;
        'debug dump') words='processcache execve policyfilter errmetrics' ;;
        'debug dump processcache') words='--skip-zero-refcnt --exclude-execve-map-processes' ;;
        'debug dump execve') words='--output' ;;
        'debug dump policyfilter') words='--output' ;;
        'debug dump errmetrics') words='--output' ;;
        'debug progs') words='--all --once --timeout --no-clear' ;;
        'debug maps') words='--lines --output' ;;
        'debug enable-stats') words='' ;;
        'policyfilter') words='cgroupid dump add listpolicies' ;;
        'policyfilter cgroupid') words='' ;;
        'policyfilter dump') words='' ;;
        'policyfilter add') words='--arg-type' ;;
        'policyfilter listpolicies') words='--runtime-endpoint --cgroup-mount' ;;
        'cgtracker') words='dump add' ;;
        'cgtracker dump') words='' ;;
        'cgtracker add') words='' ;;
        'policytest') words='list dump-policy run' ;;
        'policytest list') words='' ;;
        'policytest dump-policy') words='' ;;
        'policytest run') words='' ;;
        'explain') words='--output --recursive --list --api-version' ;;
        'completion') words='' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words --debug --server-address --timeout --retries --max-recv-size --tls-cert-file --tls-key-file --tls-ca-cert-files --tls-server-name --tls-skip-verify --help" -- "$current")
}

_tetrapy() {
    case ${COMP_WORDS[1]} in
        getevents | version | status | info | loglevel | log | eventlog | tracingpolicy | tp | sensors | probe | bugtool | cri | rthooks | dump | debug | policyfilter | cgtracker | policytest | pt | explain | completion)
            if [[ $COMP_CWORD -gt 1 ]]; then
                _tetrapy_client
                return
            fi
            ;;
    esac
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local value=
    # bash takes the = of --flag=value for a word of its own.
    if [[ $current == = ]]; then
        current= value=1
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]} value=1
    fi
    if [[ ${COMP_WORDS[1]} == policy && ( $previous == -o || $previous == --output ) ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'text json sarif' -- "$current")
        return
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
    --stop-timeout | --cluster-name | --filter-environment-variables | --cgroup-rate | --container-wait | --container-directories | --container-sockets | --process-cache-size | --process-cache-max-bytes | --process-cache-gc-interval | --event-cache-retries | --event-cache-retry-delay | --export-file-perm | --export-file-max-size-mb | --export-file-rotation-interval | --export-file-max-backups | --export-file-max-age | --export-file-user-share | --export-event-max-bytes | --export-rate-limit | --export-aggregation-window-size | --export-aggregation-buffer-size | --export-allowlist | --export-denylist | --field-filters | --redaction-filters | --rb-size | --rb-size-total | --execve-map-entries | --execve-map-size | --data-cache-size | --rb-queue-size | --verbose | --bpf-dir | --kernel | --policy-cpu-share | --metrics-server | --metrics-label-filter | --healthz-address | --health-server-address | --health-server-interval | --server-address | --server-socket-group | --server-tls-client-ca-files | --event-queue-size | --gops-address | --pprof-address | --kmods | --retprobes-cache-size | --sleepable-preload-size | --parents-map-entries | --parents-map-size | --k8s-controlplane-retry | --deleted-pod-cache-size | --cri-endpoint)
        return
        ;;
    esac
    if [[ -n $value && ' --debug --raise-priority --generate-docs --enable-process-cred --enable-executed-file --enable-process-ns --enable-process-ancestors --enable-process-environment-variables --enable-container-names --enable-container-labels --disable-process-cache --export-file-compress --enable-export-aggregation --enable-pid-set-filter --kernel-filters --use-perf-ring-buffer --force-small-progs --force-large-progs --release-pinned-bpf --keep-sensors-on-exit --btf-check --load-policies-at-run-time --tracing-policy-strict --allow-policy-requests --disable-kprobe-multi --expose-stack-addresses --enable-event-metrics --enable-msg-handling-latency --server-tls-require-client-cert --tetragon-info-file --persist-grpc-policies --enable-deprecated-tracingpolicy-grpc --parents-map-enabled --enable-policy-filter --enable-policy-filter-cgroup-map --enable-policy-filter-debug --enable-k8s-api --enable-pod-annotations --enable-pod-info --enable-tracing-policy-crd --enable-cri --enable-cgidmap --enable-cgidmap-debug --enable-cgtrackerid ' == *" $previous "* ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$current")
    elif [[ ${COMP_WORDS[1]} == btf && COMP_CWORD -gt 1 ]]; then
        [[ $COMP_CWORD -gt 2 ]] ||
            mapfile -t COMPREPLY < <(compgen -W 'list which verify diff add remove harvest pack merge' -- "$current")
    elif [[ ${COMP_WORDS[1]} == policy && COMP_CWORD -eq 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'list check explain record test library schema' -- "$current")
    elif [[ ${COMP_WORDS[1]} == policy && COMP_CWORD -gt 2 ]]; then
        if [[ $current == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W '--replay --to --kernel --only-policies --counters --output --help' -- "$current")
        else
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
        fi
    elif [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'config btf policy help getevents version status info loglevel eventlog tracingpolicy probe bugtool cri explain completion' -- "$current")
    elif [[ ${COMP_WORDS[1]} == config ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--changed --output --config-dir --debug --log-level --log-format --log-file --procfs --stop-timeout --raise-priority --generate-docs --cluster-name --enable-process-cred --enable-executed-file --enable-process-ns --enable-ancestors --enable-process-ancestors --enable-process-environment-variables --filter-environment-variables --username-metadata --cgroup-rate --enable-container-names --enable-container-labels --container-wait --container-directories --container-sockets --process-cache-size --process-cache-max-bytes --process-cache-gc-interval --disable-process-cache --event-cache-retries --event-cache-retry-delay --export-filename --export-file-perm --export-file-max-size-mb --export-file-rotation-interval --export-file-max-backups --export-file-max-age --export-file-compress --export-file-user-share --export-event-max-bytes --export-rate-limit --enable-export-aggregation --export-aggregation-window-size --export-aggregation-buffer-size --export-allowlist --export-denylist --field-filters --redaction-filters --enable-pid-set-filter --kernel-filters --sensor --rb-size --rb-size-total --use-perf-ring-buffer --execve-map-entries --execve-map-size --data-cache-size --rb-queue-size --force-small-progs --force-large-progs --verbose --bpf-dir --release-pinned-bpf --keep-sensors-on-exit --btf --bpf-lib --btf-inference --btf-archive --btf-check --kernel --tracing-policy --tracing-policy-dir --load-policies-at-run-time --tracing-policy-strict --allow-policy-requests --policy-cpu-share --disable-kprobe-multi --expose-stack-addresses --metrics-server --enable-event-metrics --metrics-label-filter --enable-msg-handling-latency --healthz-address --health-server-address --health-server-interval --server-address --server-socket-group --server-tls-cert-file --server-tls-key-file --server-tls-client-ca-files --server-tls-require-client-cert --event-queue-size --tetragon-info-file --persist-grpc-policies --persist-grpc-policies-dir --enable-deprecated-tracingpolicy-grpc --gops-address --pprof-address --cpuprofile --memprofile --kmods --retprobes-cache-size --sleepable-preload-size --parents-map-enabled --parents-map-entries --parents-map-size --netns-dir --enable-policy-filter --enable-policy-filter-cgroup-map --enable-policy-filter-debug --enable-k8s-api --k8s-kubeconfig-path --k8s-controlplane-retry --enable-pod-annotations --enable-pod-info --enable-tracing-policy-crd --deleted-pod-cache-size --enable-cri --cri-endpoint --enable-cgidmap --enable-cgidmap-debug --enable-cgtrackerid --help --version' -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W '--config-dir --debug --log-level --log-format --log-file --procfs --stop-timeout --raise-priority --generate-docs --cluster-name --enable-process-cred --enable-executed-file --enable-process-ns --enable-ancestors --enable-process-ancestors --enable-process-environment-variables --filter-environment-variables --username-metadata --cgroup-rate --enable-container-names --enable-container-labels --container-wait --container-directories --container-sockets --process-cache-size --process-cache-max-bytes --process-cache-gc-interval --disable-process-cache --event-cache-retries --event-cache-retry-delay --export-filename --export-file-perm --export-file-max-size-mb --export-file-rotation-interval --export-file-max-backups --export-file-max-age --export-file-compress --export-file-user-share --export-event-max-bytes --export-rate-limit --enable-export-aggregation --export-aggregation-window-size --export-aggregation-buffer-size --export-allowlist --export-denylist --field-filters --redaction-filters --enable-pid-set-filter --kernel-filters --sensor --rb-size --rb-size-total --use-perf-ring-buffer --execve-map-entries --execve-map-size --data-cache-size --rb-queue-size --force-small-progs --force-large-progs --verbose --bpf-dir --release-pinned-bpf --keep-sensors-on-exit --btf --bpf-lib --btf-inference --btf-archive --btf-check --kernel --tracing-policy --tracing-policy-dir --load-policies-at-run-time --tracing-policy-strict --allow-policy-requests --policy-cpu-share --disable-kprobe-multi --expose-stack-addresses --metrics-server --enable-event-metrics --metrics-label-filter --enable-msg-handling-latency --healthz-address --health-server-address --health-server-interval --server-address --server-socket-group --server-tls-cert-file --server-tls-key-file --server-tls-client-ca-files --server-tls-require-client-cert --event-queue-size --tetragon-info-file --persist-grpc-policies --persist-grpc-policies-dir --enable-deprecated-tracingpolicy-grpc --gops-address --pprof-address --cpuprofile --memprofile --kmods --retprobes-cache-size --sleepable-preload-size --parents-map-enabled --parents-map-entries --parents-map-size --netns-dir --enable-policy-filter --enable-policy-filter-cgroup-map --enable-policy-filter-debug --enable-k8s-api --k8s-kubeconfig-path --k8s-controlplane-retry --enable-pod-annotations --enable-pod-info --enable-tracing-policy-crd --deleted-pod-cache-size --enable-cri --cri-endpoint --enable-cgidmap --enable-cgidmap-debug --enable-cgtrackerid --help --version' -- "$current")
    fi
}
complete -F _tetrapy tetrapy tetrapy.pyz
