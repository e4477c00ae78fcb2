# SPDX-License-Identifier: Apache-2.0
"""The settings as attributes, for the type checker: a name that no setting has is an error of mypy.

Written by `python3 -m tools.settings_docs` from the table of settings; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Optional, Tuple

    from tetrapy.config.cgroup_rate import CgroupRate


class TypedSettings:
    """An attribute for each row of the table, hyphens turned into underscores."""

    if TYPE_CHECKING:
        config_dir: str
        debug: bool
        log_level: str
        log_format: str
        log_file: str
        procfs: str
        stop_timeout: int
        raise_priority: bool
        generate_docs: bool
        cluster_name: str
        enable_process_cred: bool
        enable_executed_file: bool
        enable_process_ns: bool
        enable_ancestors: Tuple[str, ...]
        enable_process_ancestors: bool
        enable_process_environment_variables: bool
        filter_environment_variables: Tuple[str, ...]
        username_metadata: str
        cgroup_rate: Optional[CgroupRate]
        enable_container_names: bool
        enable_container_labels: bool
        container_wait: int
        container_directories: Tuple[str, ...]
        container_sockets: Tuple[str, ...]
        process_cache_size: int
        process_cache_max_bytes: int
        process_cache_gc_interval: int
        disable_process_cache: bool
        event_cache_retries: int
        event_cache_retry_delay: int
        export_filename: str
        export_file_perm: int
        export_file_max_size_mb: int
        export_file_rotation_interval: int
        export_file_max_backups: int
        export_file_max_age: int
        export_file_compress: bool
        export_file_user_share: int
        export_event_max_bytes: int
        export_rate_limit: int
        enable_export_aggregation: bool
        export_aggregation_window_size: int
        export_aggregation_buffer_size: int
        export_allowlist: str
        export_denylist: str
        field_filters: str
        redaction_filters: str
        enable_pid_set_filter: bool
        kernel_filters: bool
        sensor: str
        rb_size: int
        rb_size_total: int
        use_perf_ring_buffer: bool
        execve_map_entries: int
        execve_map_size: int
        data_cache_size: int
        rb_queue_size: int
        force_small_progs: bool
        force_large_progs: bool
        verbose: int
        bpf_dir: str
        release_pinned_bpf: bool
        keep_sensors_on_exit: bool
        btf: str
        bpf_lib: str
        btf_inference: str
        btf_archive: str
        btf_check: bool
        kernel: str
        tracing_policy: Tuple[str, ...]
        tracing_policy_dir: str
        load_policies_at_run_time: bool
        tracing_policy_strict: bool
        allow_policy_requests: bool
        policy_cpu_share: int
        disable_kprobe_multi: bool
        expose_stack_addresses: bool
        metrics_server: str
        enable_event_metrics: bool
        metrics_label_filter: Tuple[str, ...]
        enable_msg_handling_latency: bool
        healthz_address: str
        health_server_address: str
        health_server_interval: int
        server_address: str
        server_socket_group: str
        server_tls_cert_file: str
        server_tls_key_file: str
        server_tls_client_ca_files: Tuple[str, ...]
        server_tls_require_client_cert: bool
        event_queue_size: int
        tetragon_info_file: bool
        persist_grpc_policies: bool
        persist_grpc_policies_dir: str
        enable_deprecated_tracingpolicy_grpc: bool
        gops_address: str
        pprof_address: str
        cpuprofile: str
        memprofile: str
        kmods: Tuple[str, ...]
        retprobes_cache_size: int
        sleepable_preload_size: int
        parents_map_enabled: bool
        parents_map_entries: int
        parents_map_size: int
        netns_dir: str
        enable_policy_filter: bool
        enable_policy_filter_cgroup_map: bool
        enable_policy_filter_debug: bool
        enable_k8s_api: bool
        k8s_kubeconfig_path: str
        k8s_controlplane_retry: int
        enable_pod_annotations: bool
        enable_pod_info: bool
        enable_tracing_policy_crd: bool
        deleted_pod_cache_size: int
        enable_cri: bool
        cri_endpoint: str
        enable_cgidmap: bool
        enable_cgidmap_debug: bool
        enable_cgtrackerid: bool
