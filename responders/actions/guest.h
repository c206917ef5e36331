#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "responders/actions/action.h"
#include "responders/actions/proxmox.h"
#include "responders/actions/rest.h"

// What the Proxmox actions share. Only they include this.
namespace vigie::actions {

// A guest as the cluster lists it.
struct Guest {
    std::int64_t vmid = 0;
    std::string node;
    std::string kind;  // "qemu" or "lxc"
    std::string name;
    std::string status;  // "running", "stopped"
    std::string lock;    // "backup", "migrate", …; "" when there is none
    bool is_template = false;

    std::string path() const;  // "/api2/json/nodes/pve1/qemu/101"
};

struct GuestMemory {
    std::int64_t mib = 0;
    std::string digest;    // Of the whole configuration
    bool hotplug = false;  // A change takes effect at once
};

struct Quorum {
    bool quorate = false;
    std::int64_t nodes = 0;
    std::int64_t nodes_online = 0;
};

// What a task came to.
struct TaskEnd {
    Fate fate = Fate::kUnknown;
    std::string message;  // The exit status, or why it is not known
};

class GuestApi {
public:
    explicit GuestApi(const ProxmoxOptions& options);

    // kInvalid when the request names no guest, kNotFound when the cluster has none of that id.
    Result<Guest> find(const ActionRequest& request, CallBudget& budget) const;
    // Its node's own word: "running" or "stopped", and the lock.
    Result<Guest> refresh(Guest guest, CallBudget& budget) const;
    Result<GuestMemory> memory(const Guest& guest, CallBudget& budget) const;
    Result<Quorum> quorum(CallBudget& budget) const;
    Result<std::int64_t> node_memory_free_mib(const Guest& guest, CallBudget& budget) const;
    // Whether a task is running for the guest.
    Result<bool> is_busy(const Guest& guest, CallBudget& budget) const;

    // `form` is URL-encoded. The answer's "data" is in body: a task id, or "".
    Written change(std::string_view method, const std::string& target, std::string form,
                   CallBudget& budget) const;
    TaskEnd wait_for(const Guest& guest, const std::string& upid, CallBudget& budget) const;

    // Facts that every inspection of a guest has; reads the quorum.
    Result<Facts> facts(const Guest& guest, CallBudget& budget) const;

private:
    Result<std::string> read(std::string_view target, CallBudget& budget) const;

    const RestApi api_;
    const std::chrono::milliseconds task_wait_;
    const std::chrono::milliseconds task_timeout_;
};

}  // namespace vigie::actions
