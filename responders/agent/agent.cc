#include "responders/agent/agent.h"

#include <utility>
#include <variant>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/policy_view.h"
#include "responders/agent/state_keys.h"
#include "responders/agent/turn.h"

namespace vigie::agent {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

Agent::Agent() : cache_(std::make_unique<CaseCache>()) {}
Agent::~Agent() = default;

// The decoded policy is a cache of the state row, recognised by its id.
Result<const PolicyView*> Agent::view(AgentContext& context) {
    VIGIE_TRY_ASSIGN(const auto id, context.get(kPolicyIdKey));
    const std::string wanted = id.value_or("");
    if (view_ && view_id_ == wanted) return view_.get();
    schemas::Policy policy;
    if (id) {
        VIGIE_TRY_ASSIGN(const auto stored, context.get(kPolicyKey));
        if (!stored) return fail(ErrorKind::kCorrupt, "the agent's stored policy is missing");
        auto decoded = schemas::decode_policy(*stored);
        if (!decoded) return fail(ErrorKind::kCorrupt, decoded.error().message);
        policy = *std::move(decoded);
    }
    view_ = std::make_unique<PolicyView>(std::move(policy));
    view_id_ = wanted;
    return view_.get();
}

Status Agent::on_policy(const schemas::Event& event, EventTime now, AgentContext& context) {
    const auto text = schemas::encode_policy(std::get<schemas::Policy>(event.data));
    VIGIE_TRY_ASSIGN(const auto before, context.get(kPolicyKey));
    const bool changed = before != text;
    if (changed) {
        context.put(kPolicyKey, text);
        context.put(kPolicyIdKey, stable_id("pol-", fmt::format("{}\n{}\n{}", event.meta.id.value,
                                                                text.size(), text)));
    }
    VIGIE_TRY_ASSIGN(const auto* current, view(context));
    Turn turn({context, *cache_, *current, now, event.meta});
    return turn.on_new_policy(changed, view_id_);
}

// Rule 7 for Vigie itself: while nothing reached it, nobody saw that anything stayed clear.
Status Agent::on_time(const schemas::Event& event, EventTime now, AgentContext& context) {
    Memory memory(context, *cache_);
    VIGIE_TRY_ASSIGN(const auto last, memory.watched_until());
    if (last && now < *last + std::chrono::seconds{1}) return {};
    memory.set_watched_until(now);
    if (last && now < *last + kUnwatchedMin) return {};
    VIGIE_TRY_ASSIGN(const auto* current, view(context));
    Turn turn({context, *cache_, *current, now, event.meta});
    return turn.on_gap(last);
}

Status Agent::on_event(const schemas::Event& event, EventTime now, AgentContext& context) {
    VIGIE_TRY(on_time(event, now, context));
    if (std::holds_alternative<schemas::Tick>(event.data)) return {};
    if (std::holds_alternative<schemas::Policy>(event.data)) return on_policy(event, now, context);
    VIGIE_TRY_ASSIGN(const auto* current, view(context));
    Turn turn({context, *cache_, *current, now, event.meta});
    return std::visit(
        Overloaded{
            [&](const schemas::Alert& alert) {
                return turn.on_signal(to_signal(alert, event.meta));
            },
            [&](const schemas::Anomaly& anomaly) {
                return turn.on_signal(to_signal(anomaly, event.meta));
            },
            [&](const schemas::Change& change) { return turn.on_change(change); },
            [&](const schemas::Decision& decision) { return turn.on_decision(decision); },
            [&](const schemas::ActionEvent& action) { return turn.on_outcome(action); },
            [&](const auto&) {
                turn.audit("event ignored", event.meta.id.value,
                           fmt::format("the agent has no use for {}", type_of(event.data)));
                return Status{};
            },
        },
        event.data);
}

Status Agent::on_timer(std::string_view name, EventTime now, AgentContext& context) {
    const auto slash = name.find('/');
    if (slash == std::string_view::npos) return {};
    VIGIE_TRY_ASSIGN(const auto* current, view(context));
    Turn turn({context, *cache_, *current, now, {}});
    return turn.on_timer(name.substr(0, slash), name.substr(slash + 1));
}

}  // namespace vigie::agent
