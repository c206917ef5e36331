#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "responders/actions/action.h"

namespace vigie::actions {

struct KubernetesOptions {
    std::string server_url;  // "https://10.0.0.1:6443"; http only for a local proxy
    std::string token;
    std::string token_file;  // Wins over `token`; read at every call
    std::string ca_file;     // PEM; empty: the system's
    std::string certificate_sha256;
    std::chrono::milliseconds timeout{10'000};  // For one request
    std::int64_t replicas_min = 1;              // Bounds of kubernetes.scale_deployment
    std::int64_t replicas_max = 20;
};

// Adds the actions on Deployments (Kubernetes 1.24 and later, k3s):
//
//   kubernetes.rollback_deployment  puts the pod template of an older ReplicaSet back, as
//                                   `kubectl rollout undo` does. Parameter to_revision; without
//                                   it the revision before the current one.
//   kubernetes.restart_deployment   as `kubectl rollout restart`.
//   kubernetes.scale_deployment     Parameter replicas, or add (which may be negative).
//
// The target is parameters namespace and deployment, or a target "deployment:NS/NAME". The call
// is guarded by generation (or resource_version) of the inspection: when the deployment's
// spec has changed since, nothing is done, so a duplicate is never applied twice.
void add_kubernetes_actions(const KubernetesOptions& options, Catalogue& catalogue);

}  // namespace vigie::actions
