#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "responders/agent/agent.h"
#include "schemas/events.h"

namespace vigie::agent::test {

// The agent's world in a test: rows in a map, timers, and everything that was said, in order.
class Recorder final : public AgentContext {
public:
    Result<std::optional<std::string>> get(std::string_view key) const override;
    void put(std::string_view key, std::string value) override;
    void erase(std::string_view key) override;
    Status scan(std::string_view prefix, const Visitor& visit) const override;
    void emit(schemas::IncidentEvent event) override;
    void emit(schemas::ActionEvent event) override;
    void emit(schemas::Audit entry) override;
    void set_timer(std::string_view name, EventTime at) override;
    void cancel_timer(std::string_view name) override;

    std::map<std::string, std::string, std::less<>> rows;
    std::map<std::string, EventTime, std::less<>> timers;
    std::vector<schemas::IncidentEvent> incidents;
    std::vector<schemas::ActionEvent> intents;
    std::vector<schemas::Audit> audits;
    std::vector<std::string> bytes;  // All of them, encoded, in the order in which they came
};

// A story in event time: tell what happens, look at what followed. Times are seconds since its
// beginning, 2026-11-21T10:00:00Z.
class Story {
public:
    // `restarting`: a new Agent for every event and timer, and the state copied byte by byte.
    explicit Story(bool restarting = false) : restarting_(restarting) {}

    // Time moves on: ticks come, and timers fire in (time, name) order, each at its own time.
    void until(std::int64_t seconds);
    // Vigie does not run until then: timers that fall due meanwhile fire before the next event.
    void down_until(std::int64_t seconds);
    EventTime at(std::int64_t seconds) const;
    EventTime now() const { return now_; }

    void tell(schemas::EventData data);
    void tell_as(const std::string& event_id, schemas::EventData data);
    // Of a time that is over: its sender is behind.
    void tell_late(std::int64_t seconds, schemas::EventData data);

    void alert(const std::string& name, const std::string& entity, bool firing = true,
               schemas::Severity severity = schemas::Severity::kCritical);
    void anomaly(schemas::Symptom symptom, const std::string& entity, double score,
                 bool firing = true, schemas::Severity severity = schemas::Severity::kWarning);
    // The same anomaly stops firing, for this reason.
    void end(schemas::Symptom symptom, const std::string& entity, schemas::Ended ended,
             schemas::Severity severity = schemas::Severity::kWarning);
    void edge(const std::string& from, const std::string& to);
    void deployment(const std::string& entity, const std::string& version,
                    const std::string& status = "success");
    void decide(schemas::DecisionKind kind, const std::string& value = "",
                const std::string& actor = "ann");
    void approve(const std::string& plan, const std::string& actor = "ann");
    void mode(const std::string& value, const std::string& scope = "*");
    // Answers the newest intent.
    void answer(schemas::ActionStatus status, std::map<std::string, std::string> facts = {},
                std::vector<std::string> diff = {});
    void answer_inspection(const std::string& image = "shop/checkout:1.5.0");

    const schemas::Incident& incident() const;                   // As it was last emitted
    const schemas::Incident& incident(std::size_t index) const;  // In order of appearance
    std::size_t incident_count() const;
    std::string state() const;
    std::size_t count_intents(schemas::ActionPhase phase) const;
    std::vector<schemas::Notice> notices(std::string_view kind = "") const;
    // Entries whose `what` is this.
    std::vector<schemas::Audit> audits(std::string_view what) const;
    bool audited(std::string_view what, std::string_view part_of_detail) const;

    Recorder recorder;

private:
    template <class Step>
    void step(Step run);

    const bool restarting_;
    std::unique_ptr<Agent> agent_ = std::make_unique<Agent>();
    EventTime now_ = event_time_from_micros(1'795'255'200'000'000);
    std::int64_t sequence_ = 0;
    std::vector<IncidentId> order_;
    std::map<IncidentId, schemas::Incident> last_;
    std::size_t seen_ = 0;
    std::size_t remembered_ = 0;
    void fire_until(EventTime target);
    void on_event(const std::string& id, EventTime time, schemas::EventData data);
    void remember();
    schemas::Anomaly anomaly_of(schemas::Symptom symptom, const std::string& entity, double score);
};

// The shop: frontend calls checkout, checkout is a deployment; db is a guest of node pve1.
schemas::Policy shop_policy(schemas::Mode mode);
schemas::Runbook rollback_runbook();

// The demo up to the first inspection's answer: version 1.5.0 of checkout is bad.
void bad_deployment(Story& story);
// All symptoms of bad_deployment clear.
void recovery(Story& story);

}  // namespace vigie::agent::test
