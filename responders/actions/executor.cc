#include "responders/actions/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "responders/actions/metrics.h"
#include "schemas/json.h"

namespace vigie::actions {

namespace {

using schemas::ActionEvent;
using schemas::ActionPhase;
using schemas::ActionStatus;

constexpr std::string_view kRowPrefix = "row/";
constexpr std::string_view kDonePrefix = "done/";
constexpr std::string_view kAgePrefix = "age/";  // age/MICROS/ID, so that the oldest is first
constexpr std::string_view kFinishedCount = "finished";
constexpr std::size_t kForgetStepMax = 100;  // Per tick: a tick stays short.

std::string row_key(const ActionEvent& event) {
    return fmt::format("{}{}/{}", kRowPrefix, to_string(event.phase), event.id.value);
}

std::string age_key(EventTime at, std::string_view id) {
    return fmt::format("{}{:020}/{}", kAgePrefix, std::max<std::int64_t>(micros_of(at), 0), id);
}

Result<std::int64_t> read_count(const State& state) {
    VIGIE_TRY_ASSIGN(const auto text, state.get(kFinishedCount));
    if (!text) return std::int64_t{0};
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(*text));
    return schemas::integer_at(json, "").value_or(0);
}

void write_count(State& state, std::int64_t count) {
    state.put(kFinishedCount, std::to_string(count));
}

}  // namespace

// One action that is intended or started and has no outcome yet.
struct Executor::Row {
    ActionEvent intent;
    std::string instance;  // Who emitted "started".
    bool started = false;  // "started" was read back: a call may have been made.
    EventTime intended_at;
    std::optional<EventTime> noted_at;  // When an orphan was found.

    static Result<Row> decode(std::string_view bytes);
    std::string encode() const;
};

Result<Executor::Row> Executor::Row::decode(std::string_view bytes) {
    VIGIE_TRY_ASSIGN(const auto json, schemas::parse_json(bytes));
    const auto event = schemas::string_at(json, "/event");
    const auto instance = schemas::string_at(json, "/instance");
    const auto intended_at = schemas::integer_at(json, "/intended_at");
    if (!event || !instance || !intended_at) {
        return fail(ErrorKind::kCorrupt, "action row lacks a field");
    }
    VIGIE_TRY_ASSIGN(auto decoded, schemas::decode(*event));
    auto* intent = std::get_if<ActionEvent>(&decoded.data);
    if (intent == nullptr) return fail(ErrorKind::kCorrupt, "action row holds another event");
    Row row{.intent = std::move(*intent),
            .instance = *instance,
            .started = schemas::bool_at(json, "/started").value_or(false),
            .intended_at = event_time_from_micros(*intended_at),
            .noted_at = std::nullopt};
    if (const auto noted = schemas::integer_at(json, "/noted_at")) {
        row.noted_at = event_time_from_micros(*noted);
    }
    return row;
}

std::string Executor::Row::encode() const {
    const schemas::Event event{.meta = {.id = EventId{intent.id.value},
                                        .source = "/actions",
                                        .time = intended_at,
                                        .domain = DomainId{"default"}},
                               .data = intent};
    schemas::Json json{{"event", schemas::encode(event)},
                       {"instance", instance},
                       {"started", started},
                       {"intended_at", micros_of(intended_at)}};
    if (noted_at) json["noted_at"] = micros_of(*noted_at);
    return schemas::dump_json(json);
}

Executor::Executor(Options options, Runner& runner, MetricsRegistry& metrics, Log& log)
    : options_(options), runner_(runner), metrics_(metrics), log_(log) {}

Result<Executor::Events> Executor::on_event(const ActionEvent& event, EventTime now, State& state) {
    switch (event.status) {
        case ActionStatus::kIntended: return on_intended(event, now, state);
        case ActionStatus::kStarted: return on_started(event, state);
        case ActionStatus::kSucceeded:
        case ActionStatus::kFailed:
        case ActionStatus::kRefused:
        case ActionStatus::kInDoubt: VIGIE_TRY(on_outcome(event, now, state)); break;
    }
    return Events{};
}

Result<Executor::Events> Executor::on_intended(const ActionEvent& event, EventTime now,
                                               State& state) {
    const auto key = row_key(event);
    VIGIE_TRY_ASSIGN(const auto row, state.get(key));
    VIGIE_TRY_ASSIGN(const auto done, state.get(fmt::format("{}{}", kDonePrefix, event.id.value)));
    // A finished inspection may be asked for again under its id: reading twice does no harm.
    if (row || (done && event.phase == ActionPhase::kExecute)) {
        metrics_.counter(metric::kDuplicates).add();
        log_.warn("action intent ignored, its id was used before",
                  {{"action_id", event.id.value}, {"action", event.action}});
        return Events{};
    }
    std::size_t rows = 0;
    VIGIE_TRY(state.scan(kRowPrefix, [&](auto, auto) { return ++rows < options_.rows_max; }));
    std::string refusal;
    if (rows >= options_.rows_max) {
        metrics_.counter(metric::kRowsFull).add();
        refusal = fmt::format("{} actions are running already; try again later", rows);
    } else if (runner_.catalogue().find(event.action) == nullptr) {
        refusal = fmt::format(
            "no action '{}' is configured here; configure its target or remove "
            "it from the runbooks",
            event.action);
    }
    if (!refusal.empty()) {
        VIGIE_TRY(finish(event, now, state));
        return Events{refuse(event, std::move(refusal))};
    }
    const Row fresh{.intent = event,
                    .instance = runner_.instance(),
                    .started = false,
                    .intended_at = now,
                    .noted_at = std::nullopt};
    state.put(key, fresh.encode());
    auto started = event;
    started.status = ActionStatus::kStarted;
    started.instance = runner_.instance();
    return Events{std::move(started)};
}

Result<Executor::Events> Executor::on_started(const ActionEvent& event, State& state) {
    const auto key = row_key(event);
    VIGIE_TRY_ASSIGN(const auto bytes, state.get(key));
    if (!bytes) {
        ignore(event);
        return Events{};
    }
    VIGIE_TRY_ASSIGN(auto row, Row::decode(*bytes));
    if (row.started || row.instance != event.instance) {
        ignore(event);
        return Events{};
    }
    if (row.instance == runner_.instance()) {
        row.started = true;
        state.put(key, row.encode());
        const bool inspect = row.intent.phase == ActionPhase::kInspect;
        queue(inspect ? Runner::Job::kInspect : Runner::Job::kExecute, row);
        return Events{};
    }
    // Its process ended before it had read this back, and only after that does it call: nothing
    // was called, for certain, so we may start it ourselves.
    row.instance = runner_.instance();
    state.put(key, row.encode());
    auto started = row.intent;
    started.status = ActionStatus::kStarted;
    started.instance = runner_.instance();
    return Events{std::move(started)};
}

Status Executor::on_outcome(const ActionEvent& event, EventTime now, State& state) {
    const auto key = row_key(event);
    VIGIE_TRY_ASSIGN(const auto bytes, state.get(key));
    if (!bytes) {
        ignore(event);
        return {};
    }
    state.erase(key);
    return finish(event, now, state);
}

Result<Executor::Events> Executor::on_tick(EventTime now, State& state) {
    std::vector<std::pair<std::string, std::string>> rows;
    VIGIE_TRY(state.scan(kRowPrefix, [&](auto key, auto value) {
        rows.emplace_back(key, value);
        return true;
    }));
    metrics_.gauge(metric::kRows).set(static_cast<double>(rows.size()));
    Events out;
    for (const auto& [key, bytes] : rows) {
        VIGIE_TRY_ASSIGN(auto row, Row::decode(bytes));
        if (row.started) VIGIE_TRY(revisit(std::move(row), now, state, out));
    }
    VIGIE_TRY(forget_old(now, state));
    runner_.publish_pending();
    return out;
}

Status Executor::revisit(Row row, EventTime now, State& state, Events& out) {
    const bool inspect = row.intent.phase == ActionPhase::kInspect;
    if (row.instance == runner_.instance()) {
        const auto job = inspect ? Runner::Job::kInspect : Runner::Job::kExecute;
        const auto key = work_key(job, row.intent, row.intended_at);
        if (runner_.knows(key)) return {};
        // Ours, and never handed over: certainly not called.
        if (now - row.intended_at <= options_.start_wait_max) {
            queue(job, row);
            return {};
        }
        std::erase_if(work_, [&](const Work& work) { return work.key == key; });
        state.erase(row_key(row.intent));
        VIGIE_TRY(finish(row.intent, now, state));
        out.push_back(refuse(row.intent, "the action pool had no room for it in time"));
        return {};
    }
    if (!row.noted_at) {
        row.noted_at = now;
        state.put(row_key(row.intent), row.encode());
        metrics_.counter(metric::kOrphans, {{"phase", std::string(to_string(row.intent.phase))}})
            .add();
        log_.warn("action found that another process started and did not finish",
                  {{"action_id", row.intent.id.value},
                   {"action", row.intent.action},
                   {"target", row.intent.target.value},
                   {"phase", std::string(to_string(row.intent.phase))}});
    }
    if (now - *row.noted_at < options_.orphan_wait) return {};
    if (!inspect) {
        if (!runner_.knows(work_key(Runner::Job::kLook, row.intent, row.intended_at))) {
            queue(Runner::Job::kLook, row);
        }
        return {};
    }
    row.instance = runner_.instance();
    row.intended_at = now;
    state.put(row_key(row.intent), row.encode());
    queue(Runner::Job::kInspect, row);
    return {};
}

void Executor::on_committed() {
    for (auto& work : std::exchange(work_, {})) {
        const auto status = runner_.submit(work.job, work.key, work.intent, work.intended_at);
        if (!status && status.error().kind != ErrorKind::kConflict) {
            log_.warn("action waits, the pool is full",
                      {{"action_id", work.intent.id.value}, {"reason", status.error().message}});
        }
    }
}

// An execute key names the action alone: the same action is never handed over twice. Another
// inspection under the same id is other work.
std::string Executor::work_key(Runner::Job job, const ActionEvent& intent, EventTime intended_at) {
    switch (job) {
        case Runner::Job::kInspect:
            return fmt::format("inspect/{}/{}", intent.id.value, micros_of(intended_at));
        case Runner::Job::kExecute: return fmt::format("execute/{}", intent.id.value);
        case Runner::Job::kLook: return fmt::format("look/{}", intent.id.value);
    }
    return {};
}

void Executor::queue(Runner::Job job, const Row& row) {
    work_.push_back({.job = job,
                     .key = work_key(job, row.intent, row.intended_at),
                     .intent = row.intent,
                     .intended_at = row.intended_at});
}

ActionEvent Executor::refuse(const ActionEvent& intent, std::string message) const {
    metrics_
        .counter(metric::kOutcomes, {{"phase", std::string(to_string(intent.phase))},
                                     {"status", std::string(to_string(ActionStatus::kRefused))}})
        .add();
    auto event = intent;
    event.status = ActionStatus::kRefused;
    if (event.phase == ActionPhase::kExecute) event.facts.insert_or_assign("applied", "no");
    event.message = std::move(message);
    event.instance = runner_.instance();
    return event;
}

Status Executor::finish(const ActionEvent& event, EventTime now, State& state) {
    if (event.phase == ActionPhase::kInspect) return {};
    const auto key = fmt::format("{}{}", kDonePrefix, event.id.value);
    VIGIE_TRY_ASSIGN(const auto known, state.get(key));
    if (known) return {};
    state.put(key, std::string(to_string(event.status)));
    state.put(age_key(now, event.id.value), "");
    VIGIE_TRY_ASSIGN(const auto count, read_count(state));
    write_count(state, count + 1);
    return {};
}

Status Executor::forget_old(EventTime now, State& state) {
    VIGIE_TRY_ASSIGN(auto count, read_count(state));
    const auto limit = age_key(now - options_.finished_age, "");
    std::vector<std::pair<std::string, bool>> forgotten;  // Key, and whether for its age.
    VIGIE_TRY(state.scan(kAgePrefix, [&](auto key, auto) {
        const bool old = key < limit;
        const auto left = count - static_cast<std::int64_t>(forgotten.size());
        if (!old && left <= static_cast<std::int64_t>(options_.finished_max)) return false;
        forgotten.emplace_back(key, old);
        return forgotten.size() < kForgetStepMax;
    }));
    if (forgotten.empty()) return {};
    for (const auto& [key, old] : forgotten) {
        const auto id = std::string_view(key).substr(age_key(now, "").size());
        state.erase(fmt::format("{}{}", kDonePrefix, id));
        state.erase(key);
        metrics_.counter(metric::kFinishedForgotten, {{"reason", old ? "age" : "number"}}).add();
        --count;
    }
    write_count(state, count);
    return {};
}

void Executor::ignore(const ActionEvent& event) {
    metrics_.counter(metric::kIgnored, {{"status", std::string(to_string(event.status))}}).add();
}

}  // namespace vigie::actions
