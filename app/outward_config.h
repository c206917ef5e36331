#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/section.h"
#include "core/time.h"
#include "responders/actions/http.h"
#include "responders/actions/kubernetes.h"
#include "responders/actions/proxmox.h"
#include "responders/notify/channels.h"
#include "responders/notify/routes.h"

namespace vigie::app {

// Sections "actions" and "notify": the ways out.
struct OutwardConfig {
    std::optional<actions::KubernetesOptions> kubernetes;
    std::optional<actions::ProxmoxOptions> proxmox;
    std::vector<actions::HttpTarget> http_targets;
    unsigned action_threads = 4;
    std::chrono::seconds orphan_wait{5};  // Before settling what a dead process had started
    std::chrono::milliseconds action_timeout{300'000};
    std::chrono::milliseconds settle_wait{2'000};  // Before looking at a call of unknown fate

    std::vector<notify::SlackOptions> slack;
    std::vector<notify::PagerDutyOptions> pagerduty;
    std::vector<notify::WebhookOptions> webhooks;
    std::shared_ptr<const notify::Routes> routes;
    std::string link_prefix;  // Of links to incidents in messages
    std::chrono::milliseconds retry_wait_min{5'000};
};

void read_outward(Section& root, OutwardConfig& config);

// What the responders refuse: a URL, a template or a channel that cannot be used.
Status check_outward(const OutwardConfig& config, const Clock& clock);

}  // namespace vigie::app
