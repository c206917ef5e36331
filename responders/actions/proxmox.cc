#include "responders/actions/proxmox.h"

#include <fmt/format.h>

#include <utility>

#include "responders/actions/guest.h"

namespace vigie::actions {

namespace {

Outcome outcome(Fate fate, std::string message, Facts facts = {}) {
    return {.fate = fate, .message = std::move(message), .facts = std::move(facts)};
}

Look looked(Sight sight, std::string message, Facts facts = {}) {
    return {.sight = sight, .message = std::move(message), .facts = std::move(facts)};
}

// What must hold for every change of a guest; "" when it does.
Result<std::string> obstacle(const GuestApi& api, const Guest& guest, CallBudget& budget) {
    if (guest.is_template) return fmt::format("guest {} is a template", guest.vmid);
    if (!guest.lock.empty()) {
        return fmt::format("guest {} is locked ({}): wait until that is over", guest.vmid,
                           guest.lock);
    }
    VIGIE_TRY_ASSIGN(const auto quorum, api.quorum(budget));
    if (!quorum.quorate) {
        return fmt::format("the cluster has no quorum ({} of {} nodes online)", quorum.nodes_online,
                           quorum.nodes);
    }
    return std::string{};
}

class StartGuestAction final : public Action {
public:
    explicit StartGuestAction(const ProxmoxOptions& options) : api_(options) {}

    std::string_view name() const override { return "proxmox.start_guest"; }
    schemas::Risk risk() const override { return schemas::Risk::kReversible; }

    Result<Inspection> inspect(const ActionRequest& request, CallBudget& budget) const override {
        VIGIE_TRY_ASSIGN(auto guest, api_.find(request, budget));
        VIGIE_TRY_ASSIGN(guest, api_.refresh(std::move(guest), budget));
        Inspection out;
        VIGIE_TRY_ASSIGN(out.facts, api_.facts(guest, budget));
        if (guest.status != "running") {
            out.diff = {fmt::format("- guest {} on {}: {}", guest.vmid, guest.node, guest.status),
                        fmt::format("+ guest {} on {}: running", guest.vmid, guest.node)};
        }
        return out;
    }

    Outcome execute(const ActionRequest& request, CallBudget& budget) const override {
        auto found = api_.find(request, budget);
        if (!found) return not_called(found.error());
        const auto guest = api_.refresh(*std::move(found), budget);
        if (!guest) return not_called(guest.error());
        if (guest->status == "running") return outcome(Fate::kDone, "it is running already");
        const auto against = obstacle(api_, *guest, budget);
        if (!against) return not_called(against.error());
        if (!against->empty()) return outcome(Fate::kRefused, *against);

        const auto written = api_.change("POST", guest->path() + "/status/start", "", budget);
        if (written.fate != Fate::kDone) return outcome(written.fate, written.message);
        // 200 only means that a task was made; how it ended is the answer.
        const Facts facts{{"task", written.body}};
        if (written.body.empty()) {
            return outcome(Fate::kUnknown, "proxmox answered no task id", facts);
        }
        const auto end = api_.wait_for(*guest, written.body, budget);
        if (end.fate == Fate::kDone) {
            return outcome(Fate::kDone, fmt::format("started: {}", end.message), facts);
        }
        if (end.fate == Fate::kUnknown) return outcome(Fate::kUnknown, end.message, facts);
        // A start that ends with an error may have left the guest running all the same.
        const auto after = api_.refresh(*guest, budget);
        if (!after) return outcome(Fate::kUnknown, end.message, facts);
        if (after->status == "running") {
            return outcome(Fate::kDone, fmt::format("started, with: {}", end.message), facts);
        }
        return outcome(Fate::kFailed, fmt::format("the start failed: {}", end.message), facts);
    }

    Look look(const ActionRequest& request, CallBudget& budget) const override {
        auto found = api_.find(request, budget);
        if (!found) return looked(Sight::kUnknown, found.error().message);
        const auto guest = api_.refresh(*std::move(found), budget);
        if (!guest) return looked(Sight::kUnknown, guest.error().message);
        const Facts facts{{"status", guest->status}, {"node", guest->node}};
        if (guest->status == "running")
            return looked(Sight::kApplied, "the guest is running", facts);
        const auto busy = api_.is_busy(*guest, budget);
        if (!busy) return looked(Sight::kUnknown, busy.error().message, facts);
        if (*busy) return looked(Sight::kUnknown, "a task is still running for the guest", facts);
        return looked(Sight::kNotApplied, fmt::format("the guest is {}", guest->status), facts);
    }

private:
    const GuestApi api_;
};

class GrowMemoryAction final : public Action {
public:
    explicit GrowMemoryAction(const ProxmoxOptions& options)
        : api_(options), mib_max_(options.memory_mib_max) {}

    std::string_view name() const override { return "proxmox.grow_memory"; }
    schemas::Risk risk() const override { return schemas::Risk::kReversible; }
    Result<Inspection> inspect(const ActionRequest& request, CallBudget& budget) const override;
    Outcome execute(const ActionRequest& request, CallBudget& budget) const override;
    Look look(const ActionRequest& request, CallBudget& budget) const override;

private:
    // Also when `now` has it already; kRefused when it would shrink or pass the bound.
    Result<std::int64_t> wanted(const ActionRequest& request, std::int64_t now) const;

    const GuestApi api_;
    const std::int64_t mib_max_;
};

Result<std::int64_t> GrowMemoryAction::wanted(const ActionRequest& request,
                                              std::int64_t now) const {
    auto mib = parse_number(value_of(request, "desired_memory_mib"));
    if (!mib) {
        const auto find = [&request](const char* name) -> std::optional<std::int64_t> {
            const auto it = request.parameters.find(name);
            return it == request.parameters.end() ? std::nullopt : parse_number(it->second);
        };
        mib = find("memory_mib");
        if (const auto add = find("add_mib"); !mib && add && *add <= mib_max_) mib = now + *add;
    }
    if (!mib) {
        return fail(ErrorKind::kInvalid,
                    "give the parameter memory_mib, or add_mib, as a whole number of MiB");
    }
    if (*mib <= now) {
        return fail(ErrorKind::kRefused,
                    fmt::format("{} MiB is not more than the {} MiB it has", *mib, now));
    }
    if (*mib > mib_max_) {
        return fail(
            ErrorKind::kRefused,
            fmt::format("{} MiB is above {} MiB, the bound in the configuration", *mib, mib_max_));
    }
    return *mib;
}

Result<Inspection> GrowMemoryAction::inspect(const ActionRequest& request,
                                             CallBudget& budget) const {
    VIGIE_TRY_ASSIGN(auto guest, api_.find(request, budget));
    VIGIE_TRY_ASSIGN(guest, api_.refresh(std::move(guest), budget));
    VIGIE_TRY_ASSIGN(const auto memory, api_.memory(guest, budget));
    VIGIE_TRY_ASSIGN(const auto free, api_.node_memory_free_mib(guest, budget));
    Inspection out;
    VIGIE_TRY_ASSIGN(out.facts, api_.facts(guest, budget));
    VIGIE_TRY_ASSIGN(const auto mib, wanted(request, memory.mib));
    out.facts.emplace("memory_mib", std::to_string(memory.mib));
    out.facts.emplace("desired_memory_mib", std::to_string(mib));
    out.facts.emplace("node_memory_free_mib", std::to_string(free));
    out.facts.emplace("fits", mib - memory.mib <= free ? "true" : "false");
    out.facts.emplace("hotplug", memory.hotplug ? "true" : "false");
    out.facts.emplace("digest", memory.digest);
    out.diff = {fmt::format("- memory: {} MiB", memory.mib), fmt::format("+ memory: {} MiB", mib)};
    if (!memory.hotplug && guest.status == "running") {
        out.diff.emplace_back("~ takes effect when the guest is restarted");
    }
    return out;
}

Outcome GrowMemoryAction::execute(const ActionRequest& request, CallBudget& budget) const {
    const auto digest = value_of(request, "digest");
    if (digest.empty()) {
        return outcome(Fate::kRefused, "the request carries no digest: inspect first");
    }
    auto found = api_.find(request, budget);
    if (!found) return not_called(found.error());
    const auto guest = api_.refresh(*std::move(found), budget);
    if (!guest) return not_called(guest.error());
    const auto memory = api_.memory(*guest, budget);
    if (!memory) return not_called(memory.error());
    if (memory->digest != digest) {
        return outcome(Fate::kRefused,
                       fmt::format("the configuration of guest {} has changed since "
                                   "it was inspected: inspect and plan again",
                                   guest->vmid));
    }
    const auto mib = wanted(request, memory->mib);
    if (!mib) return not_called(mib.error());
    const auto free = api_.node_memory_free_mib(*guest, budget);
    if (!free) return not_called(free.error());
    if (*mib - memory->mib > *free) {
        return outcome(Fate::kRefused, fmt::format("node {} has {} MiB free, {} more are needed",
                                                   guest->node, *free, *mib - memory->mib));
    }
    const auto against = obstacle(api_, *guest, budget);
    if (!against) return not_called(against.error());
    if (!against->empty()) return outcome(Fate::kRefused, *against);

    // A virtual machine's change may plug memory in, which is a task; a container's is done at
    // once. Both refuse when the digest is not the current one.
    const bool task = guest->kind == "qemu";
    const auto written =
        api_.change(task ? "POST" : "PUT", guest->path() + "/config",
                    fmt::format("memory={}&digest={}", *mib, http::percent_encode(digest)), budget);
    if (written.fate != Fate::kDone) return outcome(written.fate, written.message);
    if (task && !written.body.empty()) {
        const auto end = api_.wait_for(*guest, written.body, budget);
        // What an update that ended with an error has written before is for a look to tell.
        if (end.fate != Fate::kDone) return outcome(Fate::kUnknown, end.message);
    }
    const bool pending = !memory->hotplug && guest->status == "running";
    return outcome(Fate::kDone,
                   fmt::format("memory is {} MiB{}", *mib,
                               pending ? "; it takes effect when the guest is restarted" : ""),
                   {{"pending", pending ? "true" : "false"}});
}

Look GrowMemoryAction::look(const ActionRequest& request, CallBudget& budget) const {
    const auto guest = api_.find(request, budget);
    if (!guest) return looked(Sight::kUnknown, guest.error().message);
    const auto memory = api_.memory(*guest, budget);
    if (!memory) return looked(Sight::kUnknown, memory.error().message);
    const Facts facts{{"memory_mib", std::to_string(memory->mib)}};
    auto mib = parse_number(value_of(request, "desired_memory_mib"));
    if (!mib) {
        const auto it = request.parameters.find("memory_mib");
        if (it != request.parameters.end()) mib = parse_number(it->second);
    }
    if (mib && memory->mib == *mib) {
        return looked(Sight::kApplied, fmt::format("memory is {} MiB", *mib), facts);
    }
    const auto busy = api_.is_busy(*guest, budget);
    if (!busy) return looked(Sight::kUnknown, busy.error().message, facts);
    if (*busy) return looked(Sight::kUnknown, "a task is still running for the guest", facts);
    if (memory->digest == value_of(request, "digest")) {
        return looked(Sight::kNotApplied, "the configuration is as it was inspected", facts);
    }
    return looked(Sight::kUnknown, "the configuration has changed, and is not as wanted", facts);
}

}  // namespace

void add_proxmox_actions(const ProxmoxOptions& options, Catalogue& catalogue) {
    catalogue.add(std::make_unique<StartGuestAction>(options));
    catalogue.add(std::make_unique<GrowMemoryAction>(options));
}

}  // namespace vigie::actions
