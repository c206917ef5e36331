#include "app/agent_stage.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "app/metrics.h"
#include "http/signature.h"
#include "responders/agent/metrics.h"
#include "schemas/events.h"
#include "schemas/topics.h"

namespace vigie::app {

namespace {

// The stage's own rows; the agent's are everything below "agent/".
constexpr std::string_view kSequenceKey = "stage/event_sequence";
constexpr std::string_view kAuditSequenceKey = "stage/audit_sequence";
constexpr std::string_view kAuditHashKey = "stage/audit_hash";
constexpr std::string_view kAgentPrefix = "agent/";

Result<std::int64_t> next_number(streams::Context& context, std::string_view key) {
    VIGIE_TRY_ASSIGN(const auto text, context.get(key));
    std::int64_t number = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), number);
    context.put(key, std::to_string(number + 1));
    return number;
}

// Gives the agent its part of the state and turns what it says into messages.
class StageContext final : public agent::AgentContext {
public:
    StageContext(streams::Context& context, DomainId domain, EventTime now,
                 MetricsRegistry& metrics)
        : context_(context), domain_(std::move(domain)), now_(now), metrics_(metrics) {}

    Result<std::optional<std::string>> get(std::string_view key) const override {
        return context_.get(own(key));
    }
    void put(std::string_view key, std::string value) override {
        context_.put(own(key), std::move(value));
    }
    void erase(std::string_view key) override { context_.erase(own(key)); }
    Status scan(std::string_view prefix, const Visitor& visit) const override {
        return context_.scan(own(prefix), [&visit](std::string_view key, std::string_view value) {
            return visit(key.substr(kAgentPrefix.size()), value);
        });
    }
    void set_timer(std::string_view name, EventTime at) override { context_.set_timer(name, at); }
    void cancel_timer(std::string_view name) override { context_.cancel_timer(name); }

    void emit(schemas::IncidentEvent event) override {
        metrics_
            .counter(kIncidentTransitions,
                     {{"state", std::string(schemas::to_string(event.incident.state))}})
            .add();
        const std::string key = event.incident.id.value;
        send(schemas::topics::kIncidents, key, std::move(event));
    }
    void emit(schemas::ActionEvent event) override {
        send(schemas::topics::kActions, domain_.value, std::move(event));
    }
    void emit(schemas::Audit entry) override {
        const auto sequence = next_number(context_, kAuditSequenceKey);
        const auto hash = context_.get(kAuditHashKey);
        if (!note(sequence) || !note(hash)) return;
        metrics_.counter(agent::kAuditEntries, {{"what", entry.what}}).add();
        entry.sequence = *sequence;
        entry.previous_hash = hash->value_or(std::string(64, '0'));
        context_.put(kAuditHashKey, audit_hash(entry));
        send(schemas::topics::kAudit, domain_.value, std::move(entry));
    }

    // The first error of a state access inside emit.
    const Status& status() const { return status_; }

private:
    static std::string own(std::string_view key) { return fmt::format("{}{}", kAgentPrefix, key); }

    static std::string audit_hash(const schemas::Audit& entry) {
        // Length before content, so that no two entries give the same text.
        std::string text = fmt::format("{}\n{}\n", entry.sequence, entry.previous_hash);
        for (const std::string* part : {&entry.actor, &entry.what, &entry.subject, &entry.detail}) {
            text += fmt::format("{}:{}\n", part->size(), *part);
        }
        return http::sha256_hex(text);
    }

    template <class T>
    bool note(const Result<T>& result) {
        if (!result && status_) status_ = fail(result.error());
        return result.has_value();
    }

    void send(std::string_view topic, std::string key, schemas::EventData data) {
        const auto number = next_number(context_, kSequenceKey);
        if (!note(number)) return;
        const schemas::EventMeta meta{
            stable_event_id("evt-", fmt::format("agent/{}/{}", domain_.value, *number)), "/agent",
            now_, domain_};
        context_.emit({std::string(topic),
                       std::move(key),
                       schemas::encode({meta, std::move(data)}),
                       {},
                       now_});
    }

    streams::Context& context_;
    const DomainId domain_;
    const EventTime now_;
    MetricsRegistry& metrics_;
    Status status_;
};

// What would fail again for ever is a dead letter: one signal must not stop the agent.
Status contained(Status status) {
    if (status) return status;
    const ErrorKind kind = status.error().kind;
    if (is_retryable(kind) || kind == ErrorKind::kCorrupt) return status;
    return fail(ErrorKind::kInvalid, std::move(status).error().message);
}

}  // namespace

Status AgentStage::on_record(const streams::Record& record, streams::Context& context) {
    VIGIE_TRY_ASSIGN(const auto event, schemas::decode(record.message.value));
    const EventTime now = context.watermark();
    if (!std::holds_alternative<schemas::Tick>(event.data)) {
        const std::chrono::duration<double> lag =
            to_event_time(clock_.wall()) - record.message.event_time;
        metrics_.histogram(kDecisionSeconds).observe(std::max(lag.count(), 0.0));
        context.put("stage/domain", event.meta.domain.value);
    }
    StageContext stage(context, event.meta.domain, now, metrics_);
    VIGIE_TRY(contained(agent_.on_event(event, now, stage)));
    return stage.status();
}

Status AgentStage::on_timer(std::string_view name, EventTime at, streams::Context& context) {
    VIGIE_TRY_ASSIGN(const auto domain, context.get("stage/domain"));
    StageContext stage(context, {domain.value_or("default")}, at, metrics_);
    VIGIE_TRY(contained(agent_.on_timer(name, at, stage)));
    return stage.status();
}

}  // namespace vigie::app
