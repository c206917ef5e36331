#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "app/section.h"
#include "responders/actions/http.h"
#include "responders/actions/kubernetes.h"
#include "responders/actions/proxmox.h"
#include "responders/notify/notifier.h"

namespace vigie::app {

// Sections "actions" and "notify": the ways out.
struct OutwardConfig {
    std::optional<actions::KubernetesOptions> kubernetes;
    std::optional<actions::ProxmoxOptions> proxmox;
    std::vector<actions::HttpTarget> http_targets;
    unsigned action_threads = 4;
    std::chrono::seconds orphan_wait{5};  // Before settling what a dead process had started
};

void read_outward(Section& root, OutwardConfig& config);

}  // namespace vigie::app
