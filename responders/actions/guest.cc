#include "responders/actions/guest.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/redact.h"
#include "schemas/json.h"

namespace vigie::actions {

namespace {

using schemas::Json;

constexpr std::int64_t kMib = std::int64_t{1024} * 1024;
constexpr int kReadFailuresMax = 3;

// Proxmox writes numbers as numbers or as text, and booleans as 0 and 1.
std::optional<std::int64_t> number_of(const Json& object, std::string_view pointer) {
    if (const auto value = schemas::integer_at(object, pointer)) return value;
    if (const auto value = schemas::number_at(object, pointer)) {
        return static_cast<std::int64_t>(*value);
    }
    if (const auto text = schemas::string_at(object, pointer)) return parse_number(*text);
    if (const auto flag = schemas::bool_at(object, pointer)) return *flag ? 1 : 0;
    return std::nullopt;
}

std::string text_of(const Json& object, std::string_view pointer) {
    return schemas::string_at(object, pointer).value_or("");
}

// What Proxmox says in an error: the reason phrase is lost in HTTP clients, the body has it as
// "message", and what was wrong with which parameter in "errors".
std::string reason_of(std::string_view body) {
    const auto json = schemas::parse_json(body);
    if (!json) return std::string(body);
    auto out = text_of(*json, "/message");
    if (const auto* errors = schemas::find(*json, "/errors"))
        out += " " + schemas::dump_json(*errors);
    return out.empty() ? std::string(body) : out;
}

// 595 comes from the proxy when it could not connect to the guest's node: certainly nothing was
// done. 596 to 599 happen after connecting and prove nothing.
constexpr int kNodeUnreachable = 595;

// What Proxmox checks before it changes anything.
bool is_certain_refusal(std::string_view reason) {
    return reason.find("is locked (") != std::string_view::npos ||
           reason.find("detected modified configuration") != std::string_view::npos;
}

}  // namespace

std::string Guest::path() const {
    return fmt::format("/api2/json/nodes/{}/{}/{}", node, kind, vmid);
}

GuestApi::GuestApi(const ProxmoxOptions& options)
    : api_(
          {.name = "proxmox",
           .base_url = options.server_url.ends_with('/')
                           ? options.server_url.substr(0, options.server_url.size() - 1)
                           : options.server_url,
           .token = options.token,
           .token_file = options.token_file,
           .token_prefix = "PVEAPIToken=",
           .client = {.connect_timeout = std::min(options.timeout, std::chrono::milliseconds{5000}),
                      .total_timeout = options.timeout,
                      .ca_file = options.ca_file,
                      .certificate_sha256 = options.certificate_sha256}}),
      task_wait_(options.task_wait),
      task_timeout_(options.task_timeout) {}

Result<std::string> GuestApi::read(std::string_view target, CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(auto response, api_.read(target, budget));
    if (response.status == 200) return std::move(response.body);
    const auto reason = api_.clean(reason_of(response.body));
    // Proxmox answers 500 for a guest that is not on that node (any more).
    const bool missing =
        response.status == 500 && reason.find("does not exist") != std::string::npos;
    return fail(missing ? ErrorKind::kNotFound : kind_of_status(response.status),
                fmt::format("proxmox answered {} for {}: {}", response.status, target, reason));
}

Result<Guest> GuestApi::find(const ActionRequest& request, CallBudget& budget) const {
    auto id = value_of(request, "vmid");
    if (id.empty() && entity_kind(request.target) == "vm") {
        const auto target = entity_name(request.target);
        const auto slash = target.find('/');
        if (slash != std::string_view::npos) id = std::string(target.substr(slash + 1));
    }
    const auto vmid = parse_number(id);
    if (!vmid || *vmid < 100) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("'{}' names no guest: give the parameter vmid, or a target "
                                "vm:NODE/VMID",
                                one_line(request.target.value, 200)));
    }
    VIGIE_TRY_ASSIGN(const auto body, read("/api2/json/cluster/resources?type=vm", budget));
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(body));
    const auto* list = schemas::find(json, "/data");
    if (list == nullptr || !list->is_array()) {
        return fail(ErrorKind::kUnavailable,
                    "proxmox answered something other than a list of guests");
    }
    for (const auto& item : *list) {
        if (number_of(item, "/vmid") != vmid) continue;
        Guest guest{.vmid = *vmid,
                    .node = text_of(item, "/node"),
                    .kind = text_of(item, "/type"),
                    .name = text_of(item, "/name"),
                    .status = text_of(item, "/status"),
                    .lock = text_of(item, "/lock"),
                    .is_template = number_of(item, "/template").value_or(0) != 0};
        if (!is_dns_name(guest.node) || (guest.kind != "qemu" && guest.kind != "lxc")) {
            return fail(ErrorKind::kUnavailable, "proxmox answered a guest without node and type");
        }
        return guest;
    }
    return fail(ErrorKind::kNotFound, fmt::format("the cluster has no guest {}", *vmid));
}

Result<Guest> GuestApi::refresh(Guest guest, CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(const auto body, read(guest.path() + "/status/current", budget));
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(body));
    guest.status = text_of(json, "/data/status");
    guest.lock = text_of(json, "/data/lock");
    if (guest.status.empty()) {
        return fail(ErrorKind::kUnavailable, "proxmox answered a guest without status");
    }
    return guest;
}

Result<GuestMemory> GuestApi::memory(const Guest& guest, CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(const auto body, read(guest.path() + "/config", budget));
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(body));
    constexpr std::int64_t kDefaultMib = 512;
    GuestMemory out;
    out.digest = text_of(json, "/data/digest");
    // "4096", or "current=4096" since Proxmox VE 8.1.
    auto text = text_of(json, "/data/memory");
    if (text.starts_with("current=")) text.erase(0, std::string_view("current=").size());
    const auto plain = text.empty() ? number_of(json, "/data/memory") : parse_number(text);
    if (!plain && schemas::find(json, "/data/memory") != nullptr) {
        return fail(ErrorKind::kUnavailable, "proxmox answered a memory size that is no number");
    }
    out.mib = plain.value_or(kDefaultMib);
    out.hotplug =
        guest.kind == "lxc" || text_of(json, "/data/hotplug").find("memory") != std::string::npos;
    if (out.digest.empty()) {
        return fail(ErrorKind::kUnavailable, "proxmox answered a configuration without digest");
    }
    return out;
}

Result<Quorum> GuestApi::quorum(CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(const auto body, read("/api2/json/cluster/status", budget));
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(body));
    const auto* list = schemas::find(json, "/data");
    if (list == nullptr || !list->is_array()) {
        return fail(ErrorKind::kUnavailable,
                    "proxmox answered something other than a cluster status");
    }
    Quorum out;
    bool clustered = false;
    for (const auto& item : *list) {
        const auto type = text_of(item, "/type");
        if (type == "cluster") {
            clustered = true;
            out.quorate = number_of(item, "/quorate").value_or(0) != 0;
        } else if (type == "node") {
            ++out.nodes;
            out.nodes_online += number_of(item, "/online").value_or(0) != 0 ? 1 : 0;
        }
    }
    // A node that is in no cluster is its own majority.
    if (!clustered) out.quorate = out.nodes == 1;
    return out;
}

Result<std::int64_t> GuestApi::node_memory_free_mib(const Guest& guest, CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(const auto body,
                     read(fmt::format("/api2/json/nodes/{}/status", guest.node), budget));
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(body));
    // "available" (since 8.3) counts caches as free, as one would.
    auto free = number_of(json, "/data/memory/available");
    if (!free) free = number_of(json, "/data/memory/free");
    if (!free) return fail(ErrorKind::kUnavailable, "proxmox answered a node without memory");
    return *free / kMib;
}

Result<bool> GuestApi::is_busy(const Guest& guest, CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(
        const auto body,
        read(fmt::format("/api2/json/nodes/{}/tasks?source=active&vmid={}", guest.node, guest.vmid),
             budget));
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(body));
    const auto* list = schemas::find(json, "/data");
    if (list == nullptr || !list->is_array()) {
        return fail(ErrorKind::kUnavailable,
                    "proxmox answered something other than a list of tasks");
    }
    // A task that has ended stays in the list for a while, with its status.
    return std::any_of(list->begin(), list->end(), [](const Json& task) {
        return text_of(task, "/status").empty() || text_of(task, "/status") == "RUNNING";
    });
}

Written GuestApi::change(std::string_view method, const std::string& target, std::string form,
                         CallBudget& budget) const {
    auto out = api_.write({.method = std::string(method),
                           .target = target,
                           .content_type = "application/x-www-form-urlencoded",
                           .body = std::move(form)},
                          budget);
    if (out.status == kNodeUnreachable) out.fate = Fate::kFailed;
    if (out.fate == Fate::kDone) {
        const auto json = schemas::parse_json(out.body);
        out.body = json ? text_of(*json, "/data") : std::string{};
    } else if (!out.body.empty()) {
        const auto reason = api_.clean(reason_of(out.body));
        if (is_certain_refusal(reason)) out.fate = Fate::kFailed;
        out.message += ": " + reason;
    }
    return out;
}

TaskEnd GuestApi::wait_for(const Guest& guest, const std::string& upid, CallBudget& budget) const {
    const auto target =
        fmt::format("/api2/json/nodes/{}/tasks/{}/status", guest.node, http::percent_encode(upid));
    std::string trouble = "the task did not end in time";
    int failures = 0;
    for (auto waited = std::chrono::milliseconds{0}; waited <= task_timeout_;
         waited += task_wait_) {
        const auto body = read(target, budget);
        if (body) {
            const auto json = schemas::parse_json(*body);
            if (json && text_of(*json, "/data/status") == "stopped") {
                const auto end = api_.clean(text_of(*json, "/data/exitstatus"));
                const bool good = end == "OK" || end.starts_with("WARNINGS");
                return {.fate = good ? Fate::kDone : Fate::kFailed, .message = end};
            }
            failures = 0;
        } else if (++failures >= kReadFailuresMax) {
            return {.fate = Fate::kUnknown, .message = body.error().message};
        }
        if (!budget.wait(task_wait_)) {
            trouble = "the time for this action is used up while the task runs";
            break;
        }
    }
    return {.fate = Fate::kUnknown, .message = trouble};
}

Result<Facts> GuestApi::facts(const Guest& guest, CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(const auto majority, quorum(budget));
    return Facts{{"exists", "true"},
                 {"vmid", std::to_string(guest.vmid)},
                 {"node", guest.node},
                 {"type", guest.kind},
                 {"name", guest.name},
                 {"status", guest.status},
                 {"lock", guest.lock.empty() ? "none" : guest.lock},
                 {"template", guest.is_template ? "true" : "false"},
                 {"quorate", majority.quorate ? "true" : "false"},
                 {"nodes", std::to_string(majority.nodes)},
                 {"nodes_online", std::to_string(majority.nodes_online)}};
}

}  // namespace vigie::actions
