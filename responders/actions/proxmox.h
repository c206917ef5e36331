#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "responders/actions/action.h"

namespace vigie::actions {

struct ProxmoxOptions {
    std::string server_url;  // "https://pve1:8006"; any node of the cluster
    std::string token;       // "USER@REALM!TOKENID=UUID"
    std::string token_file;  // Wins over `token`; read at every call
    std::string ca_file;
    std::string certificate_sha256;              // The certificate of a node is usually its own
    std::chrono::milliseconds timeout{15'000};   // For one request
    std::chrono::milliseconds task_wait{1'000};  // Between two looks at a task
    std::chrono::milliseconds task_timeout{120'000};  // Until a task must have ended
    std::int64_t memory_mib_max = 65'536;             // Bound of proxmox.grow_memory
};

// Adds the actions on guests of Proxmox VE (8 and later), virtual machines and containers:
//
//   proxmox.start_guest   starts a stopped guest and waits for the task's end.
//   proxmox.grow_memory   Parameter memory_mib, or add_mib. Never shrinks. Guarded by the
//                         configuration's digest, so a duplicate is never applied twice.
//
// The target is the parameter vmid, or a target "vm:NODE/VMID". Where the guest is now, and
// which kind it is, the cluster says: a guest may have moved since the inventory was written.
void add_proxmox_actions(const ProxmoxOptions& options, Catalogue& catalogue);

}  // namespace vigie::actions
